"""The schemes of webhooks, held to what their makers publish, and the faults of a file."""

import base64
import json

import pytest

from codex32 import WebhookRefused, WebhookRequest
from codex32.builtin.triggers.webhook import SCHEMES, WebhookTrigger
from codex32.builtin.triggers.webhook_schemes import GitHubScheme, SlackScheme, StandardScheme

trigger = WebhookTrigger()
NOW = 1_767_614_400.0
BODY = b'{"id": "evt_1", "amount": 7}'
WHSEC = "whsec_" + base64.b64encode(b"k" * 24).decode()
SIGNED = tuple(name for name in SCHEMES if name != "none")
TIMED = ("standard", "stripe", "slack")


def secret_of(scheme, number=1):
    if scheme == "standard":
        return "whsec_" + base64.b64encode(bytes([number]) * 24).decode()
    return f"a secret {number}"


def scheme_of(name, **more):
    auth = {"scheme": name, "secret": "S", **more}
    return trigger.webhook({"path": "p", "auth": auth}).scheme


def request(body=BODY, headers=()):
    return WebhookRequest("POST", "p", dict(headers), {}, body)


def signed(scheme, *, secret=None, body=BODY, at=NOW, delivery="msg_1"):
    headers = scheme.sign(request(body), secret or secret_of(scheme.name), at, delivery)
    return request(body, headers)


def passes(scheme, sent, secrets=None, now=NOW):
    try:
        scheme.verify(sent, secrets or [secret_of(scheme.name)], now)
    except WebhookRefused:
        return False
    return True


# what the makers publish


def test_standard_webhooks_are_signed_as_their_specification_shows():
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    sent = request(b'{"test": 2432232314}', headers)
    secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    assert StandardScheme().verify(sent, secrets, 1614265330.0) == headers["webhook-id"]


def test_github_signs_as_its_documentation_shows():
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    sent = request(b"Hello, World!", {"x-hub-signature-256": f"sha256={digest}"})
    assert passes(GitHubScheme(), sent, ["It's a Secret to Everybody"])


def test_slack_signs_as_its_documentation_shows():
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
        b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
        b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    digest = "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": f"v0={digest}",
    }
    sent = request(body, headers)
    assert passes(SlackScheme(), sent, ["8f742231b10e8888abcd99yyyzzz85a5"], 1531420618.0)


# each scheme


@pytest.mark.parametrize("name", SIGNED)
def test_what_is_signed_passes_and_anything_else_does_not(name):
    scheme = scheme_of(name)
    assert passes(scheme, signed(scheme))
    assert not passes(scheme, signed(scheme), [secret_of(name, 2)])
    assert not passes(scheme, request(BODY))
    for header in signed(scheme).headers:
        for value in ("", "x", "é", "\udcff", "v1,", "t=1", "=,=,=", "1" * 5000):
            broken = request(BODY, {**signed(scheme).headers, header: value})
            if header not in ("webhook-id", "x-github-delivery") or not value:
                assert passes(scheme, broken) is (header == "x-github-delivery"), (header, value)
    if name != "bearer":
        for body in (BODY + b" ", json.dumps(json.loads(BODY), indent=1).encode(), b""):
            assert not passes(scheme, request(body, signed(scheme).headers)), body


@pytest.mark.parametrize("name", SIGNED)
def test_one_secret_follows_another(name):
    scheme, old, new = scheme_of(name), secret_of(name, 1), secret_of(name, 2)
    for secrets in ([new, old], [old, new]):
        assert passes(scheme, signed(scheme, secret=old), secrets)
        assert passes(scheme, signed(scheme, secret=new), secrets)
    assert not passes(scheme, signed(scheme, secret=old), [new])


@pytest.mark.parametrize("name", TIMED)
def test_a_delivery_counts_for_five_minutes_before_and_after(name):
    scheme = scheme_of(name)
    for late, fits in ((0, True), (299, True), (-299, True), (301, False), (-301, False)):
        assert passes(scheme, signed(scheme, at=NOW - late)) is fits, late
    (header,) = (h for h in signed(scheme).headers if "timestamp" in h or h == "stripe-signature")
    later = signed(scheme).headers[header].replace(str(int(NOW)), str(int(NOW) + 1))
    assert not passes(scheme, request(BODY, {**signed(scheme).headers, header: later}))


@pytest.mark.parametrize("name", SIGNED)
def test_the_same_delivery_has_the_same_name_and_another_has_another(name):
    scheme = scheme_of(
        name, **({"id_header": "X-Id"} if name in ("hmac-sha256", "bearer") else {})
    )
    secrets = [secret_of(name)]
    first = scheme.verify(signed(scheme), secrets, NOW)
    assert first == scheme.verify(signed(scheme), secrets, NOW + 60)
    other = signed(scheme, delivery="msg_2", body=BODY.replace(b"evt_1", b"evt_2"))
    assert first
    assert first != scheme.verify(other, secrets, NOW)


@pytest.mark.parametrize("name", ["stripe", "slack"])
def test_what_names_no_delivery_is_known_by_its_time_and_body(name):
    scheme, secrets = scheme_of(name), [secret_of(name)]
    names = {
        scheme.verify(signed(scheme, body=body, at=at), secrets, NOW)
        for body in (b"a=1", b"a=2", b"{}", b"[]", b'{"id": 7}')
        for at in (NOW, NOW - 1)
    }
    assert len(names) == 10


def test_a_standard_secret_that_is_none_lets_nobody_in():
    for secret in ("whsec_", "whsec_é", "whsec_???", " "):
        assert not passes(StandardScheme(), signed(StandardScheme()), [secret])


def test_several_signatures_are_all_looked_at():
    scheme = StandardScheme()
    sent = signed(scheme)
    both = f"v1a,xyz v1,AAAA {sent.headers['webhook-signature']}"
    assert passes(scheme, request(BODY, {**sent.headers, "webhook-signature": both}))
    other = sent.headers["webhook-signature"].replace("v1,", "v2,")
    assert not passes(scheme, request(BODY, {**sent.headers, "webhook-signature": other}))


def test_the_digest_of_others_stands_where_they_put_it():
    scheme = scheme_of(
        "hmac-sha256", header="X-Shopify-Hmac-Sha256", encoding="base64", prefix="v="
    )
    sent = signed(scheme)
    assert set(sent.headers) == {"x-shopify-hmac-sha256"}
    assert len(base64.b64decode(sent.headers["x-shopify-hmac-sha256"].removeprefix("v="))) == 32
    assert passes(scheme, sent)
    assert scheme.verify(sent, [secret_of("hmac-sha256")], NOW) is None


def test_a_token_may_stand_in_a_header_of_its_own():
    scheme = scheme_of("bearer", header="X-Gitlab-Token")
    assert signed(scheme).headers == {"x-gitlab-token": secret_of("bearer")}
    assert passes(scheme, signed(scheme))
    assert not passes(scheme, request(BODY, {"authorization": f"Bearer {secret_of('bearer')}"}))
    assert scheme.private() == {"x-gitlab-token"}


def test_slack_asks_first_whether_somebody_is_there():
    asked = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aB"}).encode()
    assert SlackScheme().greeting(request(asked)) == "3eZbrw1aB"
    for other in (b"", b"[]", b"challenge=1", b'{"type": "url_verification", "challenge": 7}'):
        assert SlackScheme().greeting(request(other)) is None


# the file


def test_the_defaults_are_those_of_the_reference():
    webhook = trigger.webhook({"path": "orders", "auth": {"scheme": "github", "secret": "S"}})
    assert (webhook.path, webhook.methods, webhook.secrets) == ("orders", {"POST"}, ("S",))
    assert (webhook.reply, webhook.reply_seconds, webhook.max_bytes) == ("accepted", 10, 1024**2)


def test_a_trigger_stays_the_same_while_its_address_does():
    old = {"path": "p", "auth": {"scheme": "github", "secret": "OLD"}}
    new = {"path": "p", "auth": {"scheme": "github", "secret": ["NEW", "OLD"]}, "reply": "none"}
    assert trigger.identity(old) == trigger.identity(new)
    assert trigger.identity(old) != trigger.identity({**old, "path": "q"})
    assert trigger.identity(old) != trigger.identity({**old, "methods": ["PUT"]})
