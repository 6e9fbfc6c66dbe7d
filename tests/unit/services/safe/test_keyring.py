"""The key ring as it is written."""

import base64

import pytest

from codex32.services.safe.keyring import KeyRingInvalid, parse

ONE, TWO = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


@pytest.mark.parametrize("between", [",", "\n", " , ", "\r\n"])
def test_the_first_key_is_the_present_one(between):
    ring = parse(f"new:{TWO}{between}old:{ONE}\n", "here")
    assert (ring.current, list(ring.keys)) == ("new", ["new", "old"])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "key 1 is not written as ID:KEY"),
        (ONE, "key 1 is not written as ID:KEY"),
        (f"K1:{ONE}", "key 1 is not written as ID:KEY"),
        (f"k1:{ONE},k1:{TWO}", "the id k1 is given to two keys"),
        (f"k1:{ONE[:20]}", "key k1 is not 32 bytes in base64"),
        (f"k1:{ONE},k2:ü", "key k2 is not 32 bytes in base64"),
    ],
)
def test_what_is_no_ring_is_refused_without_showing_it(text, fault):
    with pytest.raises(KeyRingInvalid, match=fault) as refused:
        parse(text, "here")
    assert not any(key[:20] in refused.value.message for key in (ONE, TWO))


def test_a_ring_does_not_show_its_keys():
    assert ONE not in repr(parse(f"k1:{ONE}", "here"))
    assert str(bytes([1]) * 32) not in repr(parse(f"k1:{ONE}", "here"))
