"""Whether strangers had a hand in what a step is given: followed through the expressions.

Only where data comes from is followed, not which of two ways an ``if`` made it take.
"""

from __future__ import annotations

from collections.abc import Mapping

from codex32.engine.expressions import Template
from codex32.engine.running.plan import Plan, PlannedStep
from codex32.kernel.json_values import JSON

#: Triggers whose executions begin with what the house, or somebody it knows, wrote.
_OWN = frozenset({"manual", "cron", "every", "at"})
#: The way from a stranger to a value, station by station; empty where there is none.
Way = tuple[str, ...]


class Origins:
    """Follows values of one execution back to where they came from.

    Args:
      plan: What is executed.
      trigger: What expressions see as ``trigger``.
    """

    def __init__(self, plan: Plan, trigger: Mapping[str, JSON]) -> None:
        self._steps = {
            planned.id: planned
            for section in (plan.steps, plan.on_failure, plan.finally_)
            for planned in section
        }
        self._allow = plan.bot.allow
        self._start = _start(trigger)
        self._ways: dict[str, Way] = {}

    def of(self, planned: PlannedStep) -> Way:
        """How strangers reach what ``planned`` is given."""
        return self._through(planned.params, planned.foreach)

    def output(self, planned: PlannedStep) -> Way:
        """How they reach what it gives."""
        known = self._ways.get(planned.id)
        if known is None:
            own = f"steps.{planned.id} ({planned.type.name})"
            self._ways[planned.id] = ()  # a step is not upstream of itself
            if planned.type.foreign(planned.step.params, self._allow):
                known = (own,)
            else:
                way = self.of(planned)
                known = (*way, own) if way else ()
            self._ways[planned.id] = known
        return known

    def _through(self, template: Template, foreach: Template | None) -> Way:
        for root in sorted(template.roots):
            way = self._root(root, template, foreach)
            if way:
                return way
        return ()

    def _root(self, root: str, template: Template, foreach: Template | None) -> Way:
        match root:
            case "trigger" | "inputs" if self._start:
                return (*self._start, root)
            case "state":
                return ("state, kept from earlier executions",)
            case "failure":
                return ("failure, the words of a fault",)
            case "item" if foreach is not None:
                way = self._through(foreach, None)
                return (*way, "item") if way else ()
            case "steps":
                named = {each for each in template.steps if each is not None}
                for step in sorted(self._steps if None in template.steps else named):
                    if step in self._steps and (way := self.output(self._steps[step])):
                        return way
        return ()


def _start(trigger: Mapping[str, JSON]) -> Way:
    kind = str(trigger.get("kind", "manual"))
    if kind == "bot":  # whoever started this one says what it had read
        return tuple(map(str, trigger.get("foreign") or ()))
    return () if kind in _OWN else (f"the {kind} trigger",)
