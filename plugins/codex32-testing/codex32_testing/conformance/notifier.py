"""The contract of notifiers as tests."""

from __future__ import annotations

from typing import ClassVar

import pytest

from codex32 import (
    EffectUnknown,
    Notification,
    Notifier,
    ProviderUnavailable,
    Receipt,
    StepFault,
)
from codex32_testing.conformance.shared import faults
from codex32_testing.http import FakeHttp

#: Where to send unless the author says otherwise.
MADE_UP_TARGET = "https://hooks.example.com/T0P/S3CRET"
_NOTE = Notification("The feed has news", title="News", data={"n": 1}, idempotency_key="key-1")


def working_http() -> FakeHttp:
    """A client whose other side takes everything, and says so as many do."""
    http = FakeHttp()
    http.answer(json={"ok": True, "id": "42"})
    return http


class NotifierSuite:
    """Subclass it and give the fixtures ``notifier`` and ``target``.

    Attributes:
      speaks_http: Whether it sends through the client it is handed; False leaves out the tests
        of how it takes bad answers.
    """

    speaks_http: ClassVar[bool] = True

    @pytest.fixture
    def notifier(self) -> Notifier:
        """The notifier to try."""
        pytest.fail(f"{type(self).__name__} needs a fixture called notifier")

    @pytest.fixture
    def target(self) -> str:
        """Where to send; with ``speaks_http`` a URL whose path counts as a secret."""
        return MADE_UP_TARGET

    @pytest.fixture
    def working_http(self) -> FakeHttp:
        """A client whose other side takes everything; override it where 200 is not enough."""
        return working_http()

    def test_the_house_takes_it(self, notifier: Notifier) -> None:
        """It would not be refused when plugins are loaded."""
        assert faults("notifiers", notifier) == []

    @pytest.mark.asyncio
    @pytest.mark.parametrize(
        "note", [_NOTE, Notification(""), Notification("ü\n" * 500)], ids=["full", "empty", "long"]
    )
    async def test_a_sent_notification_gives_a_receipt(
        self, notifier: Notifier, target: str, working_http: FakeHttp, note: Notification
    ) -> None:
        """Title, data and key may be missing, and texts may be long."""
        receipt = await notifier.send(note, target, http=working_http, timeout_seconds=5)
        assert isinstance(receipt, Receipt)
        assert isinstance(receipt.id, str)

    @pytest.mark.asyncio
    @pytest.mark.parametrize(
        ("status", "retryable"),
        [(400, False), (403, False), (404, False), (429, True), (503, True)],
    )
    async def test_a_refusal_says_whether_trying_again_can_help(
        self, notifier: Notifier, target: str, fake_http: FakeHttp, status: int, retryable: bool
    ) -> None:
        """Only 429 and 5xx are worth another try; no error shows the target."""
        if not self.speaks_http:
            return
        fake_http.answer(status=status, body="no")
        with pytest.raises(StepFault) as raised:
            await notifier.send(_NOTE, target, http=fake_http, timeout_seconds=5)
        assert raised.value.retryable is retryable
        assert "S3CRET" not in str(raised.value)

    @pytest.mark.asyncio
    async def test_an_unreachable_service_is_worth_another_try(
        self, notifier: Notifier, target: str, fake_http: FakeHttp
    ) -> None:
        """Nothing was sent, so nothing is sent twice."""
        if not self.speaks_http:
            return
        fake_http.fail(ProviderUnavailable("no connection", code="http-unreachable"))
        with pytest.raises(StepFault) as raised:
            await notifier.send(_NOTE, target, http=fake_http, timeout_seconds=5)
        assert raised.value.retryable

    @pytest.mark.asyncio
    @pytest.mark.parametrize("code", ["http-cut", "http-timeout"])
    async def test_a_cut_in_between_is_not_told_as_if_nothing_was_sent(
        self, notifier: Notifier, target: str, fake_http: FakeHttp, code: str
    ) -> None:
        """What may have been sent is not sent again, unless sending twice tells people once."""
        if not self.speaks_http:
            return
        fake_http.fail(ProviderUnavailable("the connection was cut", code=code))
        with pytest.raises(StepFault) as raised:
            await notifier.send(_NOTE, target, http=fake_http, timeout_seconds=5)
        if not notifier.idempotent:
            assert isinstance(raised.value, EffectUnknown) or raised.value.fault_code == code

    @pytest.mark.asyncio
    async def test_the_client_is_given_the_time_limit(
        self, notifier: Notifier, target: str, working_http: FakeHttp
    ) -> None:
        """A service that hangs must not hold the step longer than it may take."""
        if not self.speaks_http:
            return
        await notifier.send(_NOTE, target, http=working_http, timeout_seconds=2.5)
        assert all(request.timeout_seconds <= 2.5 for request in working_http.requests)
        assert working_http.requests
