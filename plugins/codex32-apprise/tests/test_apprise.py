import json

import pytest

import codex32_apprise
from codex32 import (
    EffectUnknown,
    Notification,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
)
from codex32_apprise.notifier import Apprise
from codex32_testing.conformance import NotifierSuite
from codex32_testing.http import FakeHttp
from codex32_testing.loading import load_plugin
from codex32_testing.loopback import Reply

# Apprise imports what Python 3.13 has dropped.
pytestmark = pytest.mark.filterwarnings("ignore:.*imghdr:DeprecationWarning")
NOTE = Notification("it rains", title="Weather", idempotency_key="k-1")


@pytest.fixture
def url(loopback_server):
    host = loopback_server.url("").removeprefix("http://")
    return f"json://user:S3CRET@{host}/hook"


class TestApprise(NotifierSuite):
    speaks_http = False

    @pytest.fixture
    def notifier(self, url, loopback_server):
        loopback_server.reply("/hook", Reply(body=b"ok"))
        return Apprise({"ops": url})

    @pytest.fixture
    def target(self):
        return "ops"


async def send(url, target="ops", timeout_seconds=10):
    return await Apprise({"ops": url}).send(
        NOTE, target, http=FakeHttp(), timeout_seconds=timeout_seconds
    )


async def test_apprise_itself_sends_to_the_operators_target(url, loopback_server):
    loopback_server.reply("/hook", Reply(body=b"ok"))
    await send(url)
    (request,) = loopback_server.requests
    told = json.loads(request.body)
    assert (told["title"], told["message"]) == ("Weather", "it rains")


async def test_a_name_that_is_none_is_told_which_there_are(url):
    with pytest.raises(ProviderRejected, match=r"mean 'ops-phone'.*by its name: ops-phone"):
        await Apprise({"ops-phone": url}).send(
            NOTE, "ops-fone", http=FakeHttp(), timeout_seconds=5
        )


@pytest.mark.parametrize("target", ["", "json://127.0.0.1/x", "opss", "syslog://"])
async def test_a_bot_names_a_target_and_never_a_url(url, loopback_server, target):
    with pytest.raises(ProviderRejected, match=r"none of plugins\.apprise\.targets") as caught:
        await send(url, target)
    assert "127.0.0.1" not in str(caught.value)
    assert loopback_server.requests == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ProviderRejected),
        (403, ProviderUnauthorized),
        (429, ProviderRateLimited),
        (503, ProviderUnavailable),
    ],
)
async def test_what_the_service_answered_is_found_in_the_log(url, loopback_server, status, kind):
    loopback_server.reply("/hook", Reply(status=status))
    with pytest.raises(kind) as caught:
        await send(url)
    assert "S3CRET" not in str(caught.value)


async def test_what_apprise_cannot_explain_is_unknown(unused_tcp_port):
    with pytest.raises(EffectUnknown):
        await send(f"json://127.0.0.1:{unused_tcp_port}/hook")


async def test_a_service_that_hangs_does_not_hold_the_step(url, loopback_server):
    loopback_server.reply("/hook", Reply(delay_seconds=3))
    with pytest.raises(EffectUnknown):
        await send(url, timeout_seconds=0.5)


async def test_a_url_that_apprise_cannot_read_is_the_operators_matter():
    with pytest.raises(ProviderRejected, match="the operator can"):
        await send("nosuch://S3CRET")


def test_the_plugin_offers_apprise_where_there_are_targets():
    assert load_plugin(codex32_apprise).records[0].offers.get("notifiers", ()) == ()
    loaded = load_plugin(codex32_apprise, {"targets": {"ops": "json://localhost"}})
    assert loaded.records[0].offers == {"notifiers": ("apprise",)}


@pytest.mark.parametrize("targets", [["json://x"], {"ops": ["json://x"]}, {"ops": "x"}])
def test_targets_that_are_none_are_named(targets):
    with pytest.raises(Exception, match=r"plugins\.under_test\.targets"):
        load_plugin(codex32_apprise, {"targets": targets})


def test_a_setting_that_is_none_is_told_with_what_is_meant():
    with pytest.raises(Exception, match=r"'target' is no setting \(did you mean 'targets'\?\)"):
        load_plugin(codex32_apprise, {"target": "x"})
