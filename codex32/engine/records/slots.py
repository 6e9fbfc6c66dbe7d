"""When the next one may begin: a limit of so many in a time, as plain arithmetic.

A *slot* is the moment at which one start is due. Slots are handed out in the order of asking and
never taken back, so that a start which must wait knows at once how long, and nobody asks twice.
A start comes at its slot or at most ``grace`` later; slots are so far apart that even then no
window of the rule's time, wherever it begins, holds more starts than the rule says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

#: Slots that are nearer to each other than this part of the rule's time are remembered as one
#: moment, the later: a limit of a million has a short memory, and starts a 64th too late.
_PARTS = 64
#: Moments that are remembered; beyond them neighbours become one, and slots given back are lost.
_MOST_MOMENTS = 1000
#: A clock this much behind the last one that asked has been set back.
_SET_BACK_MICROS = 5_000_000


@dataclass(frozen=True, slots=True)
class Rule:
    """At most ``limit`` starts in any ``per_micros`` microseconds."""

    limit: int
    per_micros: int

    @property
    def grace_micros(self) -> int:
        """How late a start may come after its slot: a tenth of the time, 20 ms to 1 s."""
        return min(max(self.per_micros // 10, 20_000), 1_000_000)

    @property
    def apart_micros(self) -> int:
        """How far a slot is from the one ``limit`` before it."""
        return self.per_micros + self.grace_micros


@dataclass(slots=True)
class Slots:
    """The slots of one resource that still matter. All times in microseconds.

    Attributes:
      taken: ``[moment, how many]``, in the order of time: the last ``most`` slots.
      freed: The same of slots ahead that were given back; whoever asks next gets them first.
      most: The largest limit of those who asked.
      longest: The longest time for which one of them looks back.
      asked_at: When somebody asked last.
      free_at: From when on nothing of this matters any more.
    """

    taken: list[list[int]] = field(default_factory=list)
    freed: list[list[int]] = field(default_factory=list)
    most: int = 1
    longest: int = 1
    asked_at: int = 0
    free_at: int = 0

    def take(self, rule: Rule, now: int) -> int:
        """The moment at which the asker may start: ``now``, or when the rule allows it."""
        self._follow_clock(now)
        self.asked_at = max(now, self.asked_at)
        while self.freed and self.freed[0][0] < now:
            del self.freed[0]
        slot = self.earliest(rule, now)
        if self.freed and self.freed[0][0] <= slot:
            slot = self.freed[0][0]
            self.freed[0][1] -= 1
            if not self.freed[0][1]:
                del self.freed[0]
            return slot
        self.most = max(self.most, rule.limit)
        self.longest = max(self.longest, rule.apart_micros)
        part = max(rule.per_micros // _PARTS, 1)
        if self.taken and self.taken[-1][0] // part == slot // part:
            self.taken[-1] = [slot, self.taken[-1][1] + 1]
        else:
            self.taken.append([slot, 1])
        self.free_at = max(self.free_at, slot + rule.apart_micros)
        self._forget(now)
        return slot

    def next_free(self, rule: Rule, now: int) -> int:
        """When somebody who asks now would start; nothing is taken."""
        ahead = [moment for moment, _ in self.freed if moment >= now]
        return min([self.earliest(rule, now), *ahead[:1]])

    def earliest(self, rule: Rule, now: int) -> int:
        """The first moment from ``now`` on that the rule allows, behind all slots taken."""
        if not self.taken:
            return now
        slot, left = max(now, self.taken[-1][0]), rule.limit
        for moment, count in reversed(self.taken):
            left -= count
            if left <= 0:
                return max(slot, moment + rule.apart_micros)
        return slot

    def give_back(self, slot: int, now: int) -> None:
        """A slot ahead will not be used."""
        if slot <= now:
            return
        for entry in self.freed:
            if entry[0] == slot:
                entry[1] += 1
                return
        self.freed = sorted([*self.freed, [slot, 1]])[:_MOST_MOMENTS]

    def as_json(self) -> dict[str, Any]:
        """For the row."""
        return {
            "taken": self.taken,
            "freed": self.freed,
            "most": self.most,
            "longest": self.longest,
        }

    def _follow_clock(self, now: int) -> None:
        """After the clock was set back, keep what lies ahead as far ahead as it was."""
        ahead = self.asked_at - now
        if ahead <= _SET_BACK_MICROS:
            return
        self.taken = _moved(self.taken, ahead)
        self.freed = _moved(self.freed, ahead)
        self.asked_at -= ahead
        self.free_at -= ahead

    def _forget(self, now: int) -> None:
        """Keep the last ``most`` slots of the last ``longest``: no rule looks further back."""
        left, keep = self.most, len(self.taken)
        while keep and left > 0 and self.taken[keep - 1][0] + self.longest > now:
            keep -= 1
            left -= self.taken[keep][1]
        del self.taken[:keep]
        if len(self.taken) > _MOST_MOMENTS:
            early, late = self.taken[:-1:2], self.taken[1::2]
            joined = [[b[0], a[1] + b[1]] for a, b in zip(early, late, strict=True)]
            self.taken = joined + self.taken[2 * len(joined) :]


def _moved(entries: Iterable[list[int]], by: int) -> list[list[int]]:
    return [[moment - by, count] for moment, count in entries]
