import contextlib
import json

import pytest
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from codex32.api.errors import BodyMalformed, EncodingUnsupported
from codex32.api.reading import parse_json, read_bytes
from codex32.kernel.foreign_json import MAX_DEPTH

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@given(values)
def test_what_is_json_is_read_as_it_is(value):
    assert parse_json(json.dumps(value).encode()) == value


@given(st.binary())
def test_whatever_comes_is_read_or_refused(data):
    with contextlib.suppress(BodyMalformed):
        json.dumps(parse_json(data), allow_nan=False)


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")])
def test_as_deep_as_allowed_is_read_and_deeper_is_refused(begin, end):
    def nested(depth):
        return (begin * depth + "1" + end * depth).encode()

    parse_json(nested(MAX_DEPTH))
    with pytest.raises(BodyMalformed, match="levels"):
        parse_json(nested(MAX_DEPTH + 1))


def test_many_lists_beside_each_other_are_not_deep():
    assert len(parse_json(b"[" + b",".join([b"[]"] * 1000) + b"]")) == 1000


async def read(packed):
    """As aiohttp hands it over where it can unpack it; without a body, so that it need not."""
    headers = {"Content-Encoding": packed}
    return await read_bytes(
        make_mocked_request("POST", "/", headers=headers, payload=EMPTY_PAYLOAD), 1024
    )


async def test_how_a_body_may_be_packed_does_not_hang_on_the_libraries_that_are_installed():
    for packed in ("identity", "gzip", "Deflate"):
        assert await read(packed) == b""
    for packed in ("br", "zstd"):
        with pytest.raises(EncodingUnsupported):
            await read(packed)
