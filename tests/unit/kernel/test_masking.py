import base64
import html
import json
import time
from urllib.parse import quote, quote_plus

import pytest
import yarl

from codex32.kernel.masking import MASK, Masker

SECRET = 'pä"ss\\wörd/+1'


@pytest.fixture
def masker() -> Masker:
    masker = Masker()
    masker.add(SECRET)
    return masker


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_masked_in_every_form_it_takes(masker, form) -> None:
    masked = masker.mask_value({"a": [f"before {form} after"], f"name {form}": 1})
    # Quotes around JSON's own form are no part of the secret.
    assert json.dumps(masked).replace('\\"', "") == json.dumps(
        {"a": [f"before {MASK} after"], f"name {MASK}": 1}
    )


def test_a_secret_is_masked_as_a_part_of_a_host(masker):
    masker.add("MyTenant-7F")
    written = yarl.URL("https://MyTenant-7F.example.com/MyTenant-7F").human_repr()
    assert "mytenant" in written
    assert masker.mask(written) == f"https://{MASK}.example.com/{MASK}"


def test_json_within_json_is_masked_and_still_json(masker) -> None:
    inner = json.dumps({"key": SECRET})
    masked = masker.mask_value({"body": inner})
    assert json.loads(masked["body"]) == {"key": MASK}


def test_a_number_is_masked_when_it_is_the_secret_and_not_when_it_holds_it() -> None:
    masker = Masker()
    masker.add("1234")
    value = [1234, 12345, 1234.0, True, None, "1234"]
    assert masker.mask_value(value) == [MASK, 12345, 1234.0, True, None, MASK]


def test_without_secrets_the_very_value_comes_back() -> None:
    value = {"a": [1, "b"]}
    assert Masker().mask_value(value) is value


def test_what_is_too_short_to_be_a_secret_is_left() -> None:
    masker = Masker()
    masker.add("abc")
    assert masker.mask("abcabc") == "abcabc"


@pytest.mark.parametrize("secret", ["pa'ss\"w\\ord ü", "it's", 'say "it"', "tab\there", "a\\b\\c"])
@pytest.mark.parametrize("write", [repr, ascii, lambda s: repr([s]), lambda s: repr({"k'": s})])
def test_what_python_writes_of_a_secret_is_masked(secret, write):
    masker = Masker()
    masker.add(secret)
    body = write(secret)
    assert repr(secret)[1:-1] not in masker.mask(body)
    assert "***" in masker.mask(body)


def test_a_secret_of_several_lines_is_masked_line_by_line():
    masker = Masker()
    masker.add("-----BEGIN KEY-----\nMIIEvQIBADAN\n  indented line\n}\n")
    for line in ("MIIEvQIBADAN", "indented line", "-----BEGIN KEY-----"):
        assert masker.mask(f"<{line}>") == "<***>"
    assert masker.mask("} stays") == "} stays"


@pytest.mark.parametrize(
    "form",
    [
        "tok/9f+Geheim+%C3%A4%22x&y",  # as the http step has it
        "tok/9f%2BGeheim%20%c3%a4%22x%26y",
        "tok%2F9f%2BGeheim+%C3%A4%22x%26y",  # a form
        html.escape('tok/9f+Geheim ä"x&y'),
        "tok/9f+Geheim ä&#x22;x&amp;y",
    ],
)
def test_a_secret_is_masked_however_an_address_a_form_or_a_page_escapes_it(form):
    masker = Masker()
    masker.add('tok/9f+Geheim ä"x&y')
    assert masker.mask(f"?key={form}&more=1") == "?key=***&more=1"


def test_a_long_secret_is_masked_in_addresses_at_once():
    masker, secret = Masker(), "a+b " * 5000
    masker.add(secret)
    assert masker.mask(f"?key={quote_plus(secret, safe='').replace('+', '%20')}&") == "?key=***&"


def test_of_two_secrets_none_leaves_a_rest_of_the_other_in_an_address():
    masker = Masker()
    masker.add("open")
    masker.add("open sesame")
    assert masker.mask("?a=open+sesame&b=open") == "?a=***&b=***"


@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("after", ["", "\n", ":x"])
@pytest.mark.parametrize("write", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_within_something_in_base_64_is_masked(before, after, write):
    masker = Masker()
    secret = "pa?ss>w0rd~~"
    masker.add(secret)
    masked = masker.mask(write(f"{before}{secret}{after}".encode()).decode())
    left = masked.replace("***", "")
    assert "***" in masked
    # At each end a character of both holds four bits of the secret at most.
    assert len(left) <= len(write(f"{before}{after}".encode())) + 4


#: What others write otherwise: at its beginning, in its midst and at its end.
ODD = ['a/b+c d"e&f', 'a\\"b\\\\c', '"start/s', "\\\\back", 'at the end"', "ends so\\"]
ODD += ["é<ü>😀\n'"]


def _times(write, secret, count):
    for _ in range(count):
        secret = write(secret)
    return secret


def _of_php(text):
    return json.dumps(text).replace("/", "\\/")


def _of_dotnet(text):
    return "".join(c if c.isalnum() or ord(c) > 0xFFFF else f"\\u{ord(c):04X}" for c in text)


@pytest.mark.parametrize("secret", ODD)
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    "write",
    [
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        _of_php,
        repr,
        ascii,
        lambda text: quote(text, safe=""),
        html.escape,
    ],
)
def test_a_secret_is_masked_however_often_it_was_escaped(secret, count, write):
    masker = Masker()
    masker.add(secret)
    masked = masker.mask(_times(write, secret, count))
    assert masked.count(MASK) == 1
    assert set(masked) <= set("*\\\"'"), masked


@pytest.mark.parametrize("secret", ODD)
def test_a_secret_is_masked_where_all_but_letters_are_escaped(secret):
    masker = Masker()
    masker.add(secret)
    assert masker.mask(f"<{_of_dotnet(secret)}>") == f"<{MASK}>"


@pytest.mark.parametrize("width", [64, 76])
def test_a_long_secret_in_lines_of_base_64_is_masked(width):
    masker, secret = Masker(), "s3cret-" * 30
    masker.add(secret)
    whole = base64.b64encode(secret.encode()).decode()
    lines = [whole[start : start + width] for start in range(0, len(whole), width)]
    assert [masker.mask(line) for line in lines] == [MASK] * len(lines)


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ('"abc', "\\" * 200_000),
        ("\\\\abc", "\\" * 200_000),
        ('a\\"bc', "a" + "\\" * 200_000),
        ("%abc", "%" + "25" * 100_000),
        ("&abc", "&" + "amp;" * 60_000),
    ],
)
def test_a_text_made_of_escapes_holds_nobody_up(secret, text):
    masker = Masker()
    masker.add(secret)
    began = time.process_time()
    assert masker.mask(text) == text
    assert time.process_time() - began < 2.0
