"""The contract of trigger types as tests."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from codex32 import (
    JSON,
    LARGEST_BODY,
    TriggerType,
    WebhookRefused,
    WebhookRequest,
    event_pattern_fault,
)
from codex32_testing.conformance.shared import faults, fits

#: Whatever a scheme makes of them: they are base 64, too.
_SECRET, _OTHER_SECRET = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0", "whsec_YW5vdGhlci1zZWNyZXQtaGVyZQ=="
_STARTS = [
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 59, 59, 999999, tzinfo=UTC),  # a second before Berlin's gap
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # inside Berlin's doubled hour
    datetime(2028, 2, 29, 12, tzinfo=UTC),
]


class TriggerTypeSuite:
    """Subclass it, give the fixture ``trigger_type``, and list configurations.

    Attributes:
      valid: What may stand under the trigger's key.
      wrong: What must be refused, by the schema or by ``problems``.
      firings: ``(config, timezone, after, fires_at)``; None where nothing follows.
    """

    valid: ClassVar[Sequence[JSON]] = ()
    wrong: ClassVar[Sequence[JSON]] = ()
    firings: ClassVar[Sequence[tuple[JSON, str, datetime, datetime | None]]] = ()

    @pytest.fixture
    def trigger_type(self) -> TriggerType:
        """The trigger type to try."""
        pytest.fail(f"{type(self).__name__} needs a fixture called trigger_type")

    def test_the_house_takes_it(self, trigger_type: TriggerType) -> None:
        """It would not be refused when plugins are loaded."""
        assert faults("trigger_types", trigger_type) == []

    def test_there_are_configurations(self, trigger_type: TriggerType) -> None:
        """A suite without any would prove nothing."""
        assert self.valid
        assert self.wrong
        assert self.firings or not trigger_type.timed

    def test_valid_configurations_are_let_through(self, trigger_type: TriggerType) -> None:
        """They fit the schema and have no problems."""
        for config in self.valid:
            assert fits(trigger_type.config_schema, config), config
            assert list(trigger_type.problems(config, "Europe/Berlin")) == []

    def test_wrong_configurations_are_refused(self, trigger_type: TriggerType) -> None:
        """Faults are told when the file is read."""
        for config in self.wrong:
            if fits(trigger_type.config_schema, config):
                assert list(trigger_type.problems(config, "UTC")), config

    def test_each_firing_comes_when_it_should(self, trigger_type: TriggerType) -> None:
        """The author's own table of moments."""
        for config, timezone, after, fires_at in self.firings:
            assert trigger_type.next_fire_at(config, timezone, after) == fires_at, (config, after)

    def test_time_goes_forward(self, trigger_type: TriggerType) -> None:
        """Each moment is aware and later than the one before, across changes of the clock."""
        for config in self.valid:
            for start in _STARTS:
                moment = start
                for _ in range(50):
                    following = trigger_type.next_fire_at(config, "Europe/Berlin", moment)
                    if following is None:
                        break
                    assert following.tzinfo is not None
                    assert following > moment
                    moment = following

    def test_the_moments_do_not_depend_on_when_one_looks(self, trigger_type: TriggerType) -> None:
        """Any moment before the next one, and any asking again, gives that same next one."""
        for config in self.valid:
            for start in _STARTS:
                following = trigger_type.next_fire_at(config, "Europe/Berlin", start)
                if following is None:
                    continue
                between = start + (following - start) / 2
                just_before = following - timedelta(microseconds=1)
                for look in (start, between, just_before):
                    assert trigger_type.next_fire_at(config, "Europe/Berlin", look) == following

    def test_what_is_fired_from_outside_tells_no_time(self, trigger_type: TriggerType) -> None:
        """``timed = False`` is a promise that the scheduler relies on."""
        if not trigger_type.timed:
            for config in self.valid:
                assert trigger_type.next_fire_at(config, "UTC", _STARTS[0]) is None

    def test_events_are_named_as_there_are(self, trigger_type: TriggerType) -> None:
        """A pattern that fits no event would never be answered."""
        for config in self.valid:
            pattern = trigger_type.event_pattern(config)
            assert pattern == trigger_type.event_pattern(config)
            assert pattern is None or event_pattern_fault(pattern) == ""

    def test_files_are_told_as_a_folder_and_changes(self, trigger_type: TriggerType) -> None:
        """The scheduler looks for these and for nothing else."""
        for config in self.valid:
            watched = trigger_type.watched_files(config)
            assert watched == trigger_type.watched_files(config)
            if watched is not None:
                assert watched.path
                assert watched.changes
                assert watched.changes <= {"created", "modified", "deleted"}
                assert watched.settle_seconds >= 0

    def test_what_is_served_can_be_served(self, trigger_type: TriggerType) -> None:
        """The API looks for these and for nothing else; a sender passes with what it signs."""
        for config in self.valid:
            webhook = trigger_type.webhook(config)
            if webhook is None:
                continue
            assert re.fullmatch("[A-Za-z0-9_-]+", webhook.path)
            assert webhook.methods <= {"GET", "POST", "PUT", "PATCH", "DELETE"}
            assert 0 < webhook.max_bytes <= LARGEST_BODY
            scheme, secrets = webhook.scheme, [_SECRET] if webhook.scheme.secret else []
            assert bool(webhook.secrets) is scheme.secret
            unsigned = WebhookRequest("POST", webhook.path, {}, {}, b"{}")
            headers = scheme.sign(unsigned, _SECRET, 1e9, "msg_1")
            assert all(name == name.lower() for name in headers)
            signed = WebhookRequest("POST", webhook.path, headers, {}, b"{}")
            scheme.verify(signed, secrets, 1e9)
            if scheme.secret:
                with pytest.raises(WebhookRefused):
                    scheme.verify(unsigned, secrets, 1e9)
                with pytest.raises(WebhookRefused):
                    scheme.verify(signed, [_OTHER_SECRET], 1e9)

    def test_a_trigger_is_the_same_for_everybody(self, trigger_type: TriggerType) -> None:
        """Its identity is JSON, and asking again gives the same."""
        for config in self.valid:
            identity = trigger_type.identity(config)
            assert json.dumps(identity) == json.dumps(trigger_type.identity(config))
