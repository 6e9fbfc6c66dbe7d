"""A bot's definition made ready to run: expressions compiled, order known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from codex32.engine.expressions import (
    Condition,
    Template,
    compile_condition,
    compile_params,
    compile_template,
)
from codex32.engine.records.bot_types import common_type
from codex32.engine.records.rates import Limit
from codex32.engine.running import planned_tools
from codex32.engine.running.planned_tools import PlannedTool
from codex32.engine.values.params import check_params
from codex32.kernel.bot import Bot, Rate, Retry, Step
from codex32.kernel.components import Components
from codex32.kernel.contracts.bot_type import BotType
from codex32.kernel.json_values import JSON, dumps
from codex32.kernel.outcomes import Effect

ONCE = Retry(attempts=1)
#: Characters of parameters that are packed once, and not for every execution anew.
_SHORT = 256


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step with its expressions compiled.

    Attributes:
      packed_params: The column text of short parameters without expressions, made once.
      retry: The step's own, else the bot's, else a single try.
      rate: From which each try takes its slot.
      tools: What its bot type may have done as parts of it.
    """

    id: str
    step: Step
    type: BotType
    params: Template
    condition: Condition | None
    foreach: Template | None
    idempotency_key: Template | None
    retry: Retry
    rate: Limit | None
    #: Parameters that name notifiers: whether a notification may be repeated is the notifier's.
    notifier_params: tuple[str, ...]
    packed_params: str | None
    tools: tuple[PlannedTool, ...] = ()

    def check(self, params: Mapping[str, JSON]) -> None:
        """Check evaluated parameters; constant ones were checked when the file was read.

        Raises:
          StepFault: They do not fit the bot type's schema.
        """
        if not self.params.is_constant:
            check_params(self.type, params)

    @property
    def paced(self) -> bool:
        """Whether its tries may have to wait for slots of a rate limit."""
        return self.rate is not None or bool(self.notifier_params)

    def told(self, params: Mapping[str, JSON]) -> tuple[str, str] | None:
        """The notifier that the step uses, and for which target; None where it uses none."""
        if not self.notifier_params:
            return None
        return str(params[self.notifier_params[0]]), str(params.get("target", ""))

    def effect(self, params: Mapping[str, JSON], components: Components) -> Effect:
        """What doing the step with these parameters does to the world."""
        effect = self.type.effect(params)
        if effect is Effect.ONCE and self.notifier_params:
            used = [components.notifier(str(params[name])) for name in self.notifier_params]
            if all(notifier.idempotent for notifier in used):
                return Effect.IDEMPOTENT
        return effect

    @classmethod
    def bare(cls, step: str, kind: BotType, params: Mapping[str, JSON]) -> PlannedStep:
        """A step of the engine's own, with values instead of expressions."""
        return cls(
            id=step,
            step=Step(step, kind.name, params),
            type=kind,
            params=Template(lambda _: params),
            condition=None,
            foreach=None,
            idempotency_key=None,
            retry=ONCE,
            rate=None,
            notifier_params=(),
            packed_params=None,
        )


class Section(tuple[PlannedStep, ...]):
    """Steps that are walked together: those of the bot, ``on_failure`` or ``finally``.

    Attributes:
      followers: By the id of a step, those that need it.
    """

    followers: Mapping[str, Sequence[PlannedStep]]

    def __new__(cls, steps: Iterable[PlannedStep]) -> Section:
        """A section of ``steps``, in the order of the file."""
        section = super().__new__(cls, steps)
        section.followers = {
            each.id: [step for step in section if each.id in step.step.needs] for each in section
        }
        return section


@dataclass(frozen=True, slots=True)
class Plan:
    """A version of a bot, ready to run.

    Attributes:
      origin: Who wrote it: ``file api run``, or ``builder`` where a model wrote any of its code.
    """

    bot: Bot
    version_id: str
    origin: str
    steps: Section
    on_failure: Section
    finally_: Section
    output: Template | None
    #: From which each execution takes its slot before its first step.
    rate: Limit | None
    #: Whether it, or a step of it, has a rate limit.
    paced: bool
    #: The bot types of all steps, by step.
    types: Mapping[str, str]
    #: What the bot as a whole is counted as.
    bot_type: str

    @classmethod
    def of(cls, bot: Bot, version_id: str, components: Components, origin: str = "file") -> Plan:
        """Compile ``bot``.

        Raises:
          ComponentNotFound: A bot type is no longer installed.
          ExpressionFault: An expression does not compile any more.
        """

        def planned(steps: Sequence[Step]) -> Section:
            return Section(_plan_step(step, bot, components) for step in steps)

        steps, on_failure, finally_ = map(planned, (bot.steps, bot.on_failure, bot.finally_))
        every = (*steps, *on_failure, *finally_)
        return cls(
            bot=bot,
            version_id=version_id,
            origin=origin,
            steps=steps,
            on_failure=on_failure,
            finally_=finally_,
            output=None if bot.output is None else compile_template(bot.output),
            rate=_limit(bot.rate, f"bot:{bot.name}"),
            paced=bot.rate is not None or any(each.paced for each in every),
            types={each.id: each.step.type for each in every},
            bot_type=common_type(each.type for each in bot.steps),
        )


def _plan_step(step: Step, bot: Bot, components: Components) -> PlannedStep:
    kind = components.bot_type(step.type)
    params = compile_params(kind, step.params)
    return PlannedStep(
        id=step.id,
        step=step,
        type=kind,
        notifier_params=_named(kind, "notifier"),
        params=params,
        packed_params=_packed(params),
        condition=None if step.condition is None else compile_condition(step.condition),
        foreach=None if step.foreach is None else compile_template(step.foreach),
        idempotency_key=(
            None if step.idempotency_key is None else compile_template(step.idempotency_key)
        ),
        retry=step.retry or bot.retry or ONCE,
        rate=_limit(step.rate, f"step:{bot.name}.{step.id}"),
        tools=tuple(
            _plan_tool(raw, step, bot, components)
            for name in _named(kind, "tools")
            for raw in step.params.get(name) or ()
        ),
    )


def _plan_tool(
    raw: Mapping[str, JSON], step: Step, bot: Bot, components: Components
) -> PlannedTool:
    kind = components.bot_type(raw["type"])
    own = Step(step.id, raw["type"], raw.get("with", {}))
    # A model that was told of a fault tries again by itself.
    planned = replace(_plan_step(own, bot, components), retry=ONCE)
    return PlannedTool(
        name=raw.get("name", ""),
        description=raw.get("description", ""),
        args=raw.get("args"),
        writes=planned_tools.writes(raw.get("writes"), kind, own.params),
        foreign=kind.foreign(own.params, bot.allow),
        step=planned,
    )


def _packed(params: Template) -> str | None:
    text = dumps(params.evaluate({})) if params.is_constant else ""
    return text if 0 < len(text) <= _SHORT else None


def _limit(rate: Rate | None, own: str) -> Limit | None:
    if rate is None:
        return None
    return Limit.of(rate, own, None if rate.key is None else compile_template(rate.key))


def _named(bot_type: BotType, format_: str) -> tuple[str, ...]:
    """The parameters of a bot type that have this format."""
    properties = bot_type.params_schema.get("properties", {})
    return tuple(n for n, schema in properties.items() if schema.get("format") == format_)
