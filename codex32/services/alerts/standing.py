"""How an alert stands after a look, and what people are to be told; decided, not written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from codex32.kernel.alert_rows import AlertRow
from codex32.kernel.bot import Alert
from codex32.services.alerts.measuring import Measured

OK, FIRING, ESCALATED = "ok", "firing", "escalated"


@dataclass(frozen=True, slots=True)
class Standing:
    """The columns of an :class:`AlertRow` that a look may change; they mean the same."""

    state: str
    state_since: int
    turning_since: int | None
    told: str
    detail: str
    acknowledged_by: str | None

    @classmethod
    def of(cls, row: AlertRow) -> Standing:
        """How an alert stands."""
        return cls(*(getattr(row, name) for name in cls.__slots__))

    def seen(self, alert: Alert, measured: Measured, now: int) -> Standing:
        """How it stands once that was seen."""
        if max(self.state_since, self.turning_since or 0) > now:
            # The clock was put back. What began later than now begins now, or nothing would be
            # told before the time has caught up.
            return self._brought_to(now).seen(alert, measured, now)
        if measured.wrong is None:
            return self
        if measured.wrong == (self.state == FIRING):
            return replace(self, turning_since=None)
        since = now if self.turning_since is None else self.turning_since
        patience = alert.for_seconds if measured.wrong else alert.keep_seconds
        if now - since < int(patience * 1e6):
            return replace(self, turning_since=since)
        return replace(
            self,
            state=FIRING if measured.wrong else OK,
            state_since=now,
            turning_since=None,
            detail=measured.detail,
            acknowledged_by=None,
        )

    def _brought_to(self, now: int) -> Standing:
        turning = self.turning_since
        return replace(
            self,
            state_since=min(self.state_since, now),
            turning_since=None if turning is None else min(turning, now),
        )

    def to_tell(self, alert: Alert, now: int) -> str | None:
        """What people do not know yet: ``firing``, ``escalated`` or ``ok``; None if nothing."""
        if self.state == OK:
            return OK if self.told != OK else None
        if self.told == OK:
            return FIRING
        more = alert.escalate
        if more is None or self.told == ESCALATED or self.acknowledged_by is not None:
            return None
        return ESCALATED if now - self.state_since >= int(more.after_seconds * 1e6) else None
