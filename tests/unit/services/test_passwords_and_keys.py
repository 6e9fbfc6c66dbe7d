"""Passwords that are easily guessed, and API keys that are none."""

import pytest

from codex32.services.access.faults import PasswordRefused
from codex32.services.access.passwords import _NOBODY as NOBODY
from codex32.services.access.passwords import MAX_BYTES, Passwords, check
from codex32.services.access.passwords import _common as common
from codex32.services.access.tokens import Key, digest, new_token

ANNA = ("anna.smith@example.com", "asmith", "Anna Smith")


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short77",
        "password",
        "PassWord123",
        "qwertyuiop",
        "12345678",
        "asmith12",
        "Anna Smith",
        "smith2026",
        "example.com",
        "codex32!!",
        "x" * (MAX_BYTES + 1),
    ],
)
def test_what_would_be_tried_first_is_refused(password):
    with pytest.raises(PasswordRefused):
        check(password, ANNA)


@pytest.mark.parametrize(
    "password",
    [
        "tr0ub4dor",
        "correct horse battery",
        "anna has seven green bicycles",
        "ein Passwort mit Wörtern 🚲",
        "x" * MAX_BYTES,
        "\ud800 a lone surrogate",
    ],
)
def test_anything_else_is_taken_whole(password):
    check(password, ANNA)


def test_the_list_holds_thousands_and_none_that_the_length_refuses_anyway():
    assert 3000 <= len(common()) <= 5000
    assert min(map(len, common())) >= 8
    assert all(word == word.casefold() for word in common())


def test_no_character_of_a_long_password_is_cut_off():
    passwords = Passwords()
    hashed = passwords.hash_now("a" * 200 + "b")
    assert passwords.verify_now("a" * 200 + "b", hashed).fits
    assert not passwords.verify_now("a" * 200 + "c", hashed).fits
    assert hashed.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    passwords.close()


def test_nobody_has_the_password_of_nobody():
    passwords = Passwords()
    for password in ("", "x", "x" * (MAX_BYTES + 1)):
        assert not passwords.verify_now(password, None).fits
    passwords.close()


def test_nobody_costs_as_much_as_anybody():
    passwords = Passwords()
    assert not passwords._hasher.check_needs_rehash(NOBODY)
    passwords.close()


def test_a_key_is_read_as_it_was_written():
    key = Key.new()
    assert len(key.secret) == 43
    assert Key.parse(key.text) == key
    assert key.fits(digest(key.secret))
    assert not Key.new().fits(digest(key.secret))
    assert key.secret not in repr(key)


def test_a_mistyped_key_is_none():
    text = Key.new().text
    swapped = text[:20] + text[21] + text[20] + text[22:]
    other = "a" if text[30] != "a" else "b"
    wrong = [text[:-1], text + "a", text.upper(), text[:30] + other + text[31:], "", "cx32_key_"]
    if swapped != text:
        wrong.append(swapped)
    assert [each for each in wrong if Key.parse(each) is not None] == []


def test_tokens_say_what_they_are_and_nothing_else():
    tokens = {new_token("refresh") for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == len("cx32_refresh_") + 43 for token in tokens)
