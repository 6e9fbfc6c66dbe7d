"""Bodies of deliveries: what they are read as, and what cannot be read."""

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex32.kernel.json_values import dumps, is_json
from codex32.services.triggers.webhook_bodies import (
    MAX_FIELDS,
    BodyUnreadable,
    Content,
    Upload,
    read_content,
)

JSON_TYPE = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = 'multipart/form-data; boundary="b-1"'
PART = b'--b-1\r\nContent-Disposition: form-data; name="a"'


def body(content, kind):
    return read_content(content, kind).body


@pytest.mark.parametrize(
    ("content", "kind", "read"),
    [
        (b"", JSON_TYPE, None),
        (b"", "", None),
        (b'{"a": [1, 2.5, null]}', JSON_TYPE, {"a": [1, 2.5, None]}),
        (b'"x"', "application/json; charset=utf-8", "x"),
        (b"1", "APPLICATION/JSON", 1),
        (b"[]", "application/vnd.github+json", []),
        (b"[]", "text/json", []),
        (b"a=1&b=&a=2&c=%C3%BC+x", FORM, {"a": ["1", "2"], "b": "", "c": "ü x"}),
        (b"a=1", f"{FORM}; charset=utf-8", {"a": "1"}),
        ("Grüße".encode(), "text/plain", "Grüße"),
        ("Grüße".encode("latin-1"), "text/plain; charset=iso-8859-1", "Grüße"),
        (b"<a/>", "application/xml", "<a/>"),
        (b"<a/>", "application/soap+xml", "<a/>"),
        (b"\x00\xff", "application/octet-stream", "AP8="),
        (b"hi", "", "aGk="),
        (b"hi", "image/png", "aGk="),
        (b"hi", ";;;", "aGk="),
        (b'{"a": 1}', "application/jsonp", base64.b64encode(b'{"a": 1}').decode()),
    ],
)
def test_a_body_is_read_as_its_type_says(content, kind, read):
    assert body(content, kind) == read


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (b'{"a": ', JSON_TYPE, "no JSON"),
        (b"a=1", JSON_TYPE, "no JSON"),
        (b"\xff", JSON_TYPE, "UTF-8"),
        (b"NaN", JSON_TYPE, "too large"),
        (b"1e999", JSON_TYPE, "too large"),
        (b"1" * 5000, JSON_TYPE, "too large"),
        (b"[" * 66 + b"]" * 66, JSON_TYPE, "levels"),
        (b"[" * 100_000, JSON_TYPE, "levels"),
        (b"a=%FF", FORM, "no form"),
        (b"&".join([b"a=1"] * (MAX_FIELDS + 1)), FORM, "no form"),
        ("ü".encode("latin-1"), "text/plain", "no text in utf-8"),
        (b"x", "text/plain; charset=nonsense", "no text in nonsense"),
        (b"x", "text/plain; charset=\x00", "no text"),
        (b"x", "multipart/form-data", "no boundary"),
        (b"x", "multipart/form-data; boundary=", "no boundary"),
        (b"x", f"multipart/form-data; boundary={'b' * 71}", "no boundary"),
        (b"x", MULTIPART, "breaks off"),
        (PART + b"\r\n\r\nv", MULTIPART, "breaks off"),
        (PART + b"\r\nv\r\n--b-1--", MULTIPART, "no end of its headers"),
        (PART + b"\r\nX: " + b"x" * 20_000 + b"\r\n\r\nv\r\n--b-1--", MULTIPART, "no end"),
        (b"--b-1\r\n\r\nv\r\n--b-1--", MULTIPART, "which field"),
        (
            b"--b-1\r\nContent-Disposition: attachment; name=a\r\n\r\n\r\n--b-1--",
            MULTIPART,
            "which",
        ),
        (PART + b"\r\nContent-Transfer-Encoding: base64\r\n\r\nv\r\n--b-1--", MULTIPART, "packed"),
        (b"".join([PART + b"\r\n\r\nv\r\n"] * (MAX_FIELDS + 1)) + b"--b-1--", MULTIPART, "parts"),
    ],
)
def test_what_is_not_what_it_says_is_not_read(content, kind, why):
    with pytest.raises(BodyUnreadable, match=why):
        read_content(content, kind)


def test_a_form_of_parts_has_fields_and_files():
    parts = [
        PART + b"\r\n\r\nfirst\r\n",
        PART + b"\r\n\r\nsecond\r\n--not a boundary\r\n",
        PART + b'; filename=""\r\n\r\n\r\n',
        b"--b-1\r\nContent-Disposition: form-data; name=\"f\"; filename*=UTF-8''%C3%BC.png\r\n"
        b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x00\r\n",
    ]
    content = read_content(b"".join(parts) + b"--b-1--\r\n", MULTIPART)
    assert content.body == {"a": ["first", "second\r\n--not a boundary"]}
    assert content.files == [
        Upload("a", "", "text/plain", b""),
        Upload("f", "ü.png", "image/png", b"\x89PNG\r\n\x00"),
    ]
    assert content.files[1].as_json() == {
        "field": "f",
        "filename": "ü.png",
        "content_type": "image/png",
        "size": 7,
        "base64": base64.b64encode(b"\x89PNG\r\n\x00").decode(),
    }


_TYPES = st.one_of(
    st.sampled_from([JSON_TYPE, FORM, MULTIPART, "text/plain", "application/xml", ""]),
    st.text(max_size=60),
    st.builds(
        "{}/{}; {}={}".format,
        st.sampled_from(["text", "multipart", "application"]),
        st.sampled_from(["json", "form-data", "x-www-form-urlencoded", "html", "a+xml"]),
        st.sampled_from(["boundary", "charset", "boundary*", "charset*0", "x"]),
        st.text(max_size=20),
    ),
)
_BODIES = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(
            [b"--b-1", b"--", b"\r\n", b"\r\n\r\n", PART, b"; filename=x", b"; name*=a'b'c",
             b"=?q?", b"Content-Type: ", b"text/\xff", b"charset=", b"x", b"a=1&", b"{", b"[1]",
             b"\x00"]
        ),
        max_size=20,
    ).map(b"".join),
)  # fmt: skip


@given(_BODIES, _TYPES)
def test_whatever_comes_is_read_as_json_data_or_refused(content, kind):
    read = Content(None)
    with contextlib.suppress(BodyUnreadable):
        read = read_content(content, kind)
    told = [read.body, [upload.as_json() for upload in read.files]]
    assert is_json(told)
    assert json.loads(dumps(told)) == told


@pytest.mark.parametrize("charset", ["punycode", "idna", "utf-7", "unicode_escape", "rot13", "x"])
def test_only_charsets_are_read_that_make_plain_text_in_plain_time(charset):
    with pytest.raises(BodyUnreadable, match="no text in"):
        read_content(b"-" + b"a" * 1000, f"text/plain; charset={charset}")


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", "latin-1", "windows-1252", "shift-jis"])
def test_the_charsets_of_the_world_are_read(charset):
    assert body("tea".encode(charset), f"text/plain; charset={charset}") == "tea"


def test_headers_with_very_many_parameters_are_refused_at_once():
    many = ";" * 16000
    with pytest.raises(BodyUnreadable, match="parameters"):
        read_content(PART + many.encode() + b"\r\n\r\nd\r\n--b-1--", MULTIPART)
    with pytest.raises(BodyUnreadable, match="parameters"):
        read_content(b"x", f'text/plain; a="{many}')
