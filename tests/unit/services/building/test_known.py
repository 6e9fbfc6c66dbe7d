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
        ("ller.example", "look at müller.example", False),
        ("ller.example", "look at mu\u0308ller.example", False),
        ("müller.example", "look at mu\u0308ller.example", True),
        ("ample.com", "look at ex\u200bample.com", False),
        ("orders@example.com", "mail ann+orders@example.com", False),
        ("neil@example.com", "mail o'neil@example.com", False),
        ("d@example.com", "mail r&d@example.com", False),
        ("ann@example.com", "mail 'ann@example.com', or «bob@example.com»", True),
        ("bob@example.com", "mail 'ann@example.com', or «bob@example.com»", True),
        ("example.com", "请访问example.com的页面", True),
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
    assert known.masked_value({"correct-horse": ["correct-horse", 1]}) == {"***": ["***", 1]}
    assert known.gives_away("sk-0123456789abcdefghij")
    assert not known.gives_away("${{ secrets.SLACK_TOKEN }}")


@pytest.mark.parametrize(
    "said",
    [
        "the password for the shop is hunter2222",
        "Password: 'hunter2222 and more'",
        "password hunter2222",
        "pw: hunter2222",
        "das Passwort ist hunter2222",
        "the api key is: hunter2222",
        "credentials: ann:hunter2222",
        "the token of ann = hunter2222",
    ],
)
def test_however_people_tell_a_password_it_is_not_kept(said):
    assert "hunter2222" not in Known(Components()).heard(said)
    assert "and more" not in Known(Components()).heard(said)


@pytest.mark.parametrize(
    "said",
    [
        "the webhook's secret is in TICKETS_KEY, standard scheme",
        "the token for the feed at https://feeds2.example.com/x.json is SHOP_2",
        "token: https://x1.example.com",
        "tell me 3 days before a token expires, and of password resets of the last 24 hours",
        "mail ann2@example.com the token of 3 days",
    ],
)
def test_whoever_speaks_of_secrets_and_tells_none_is_heard_whole(said):
    assert Known(Components()).heard(said) == said
