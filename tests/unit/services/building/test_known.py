"""What counts as named by a person, and what is never told."""

import pytest

from codex32.kernel.bot import Allow
from codex32.kernel.components import Components
from codex32.kernel.masking import Masker
from codex32.services.building.known import Known, named


@pytest.mark.parametrize(
    ("name", "words", "there"),
    [
        ("shop.example.com", "look at https://shop.example.com/tea.", True),
        ("shop.example.com", "look at shop.example.com.", True),
        ("example.com", "look at shop.example.com", False),
        ("shop.example.com", "look at shop.example.com.evil.example", False),
        ("SLACK_URL", "the address is in slack_url", True),
        ("SLACK", "the address is in slack_url", False),
        ("*", "- read the feed\n* tell me", False),
        ("/", "look at https://shop.example.com/tea", False),
        ("*.example.com", "look at *.example.com", True),
    ],
)
def test_a_name_is_named_as_a_word_of_its_own(name, words, there):
    assert named(name, words) is there


def test_hosts_of_the_bot_before_are_known():
    known = Known(Components(), allow=Allow(hosts=("old.example",)))
    assert known.strange_hosts(["old.example", "new.example"], "") == ["new.example"]


def test_what_people_call_a_password_is_not_kept_but_names_of_secrets_are():
    masker = Masker()
    masker.add("correct-horse")
    known = Known(Components(), masker=masker)
    said = "my password is hunter2222, the token: SLACK_TOKEN, and correct-horse"
    assert known.heard(said) == "my password is ***, the token: SLACK_TOKEN, and ***"
    assert known.gives_away("x correct-horse x")
    assert known.gives_away("sk-0123456789abcdefghij")
    assert not known.gives_away("${{ secrets.SLACK_TOKEN }}")
