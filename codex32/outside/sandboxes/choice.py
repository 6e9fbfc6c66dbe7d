"""Which sandbox is relied on: the strongest that holds, or what the operator named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codex32.kernel.contracts.sandbox import SandboxBackend, SandboxLevel
from codex32.outside.sandboxes.probe import judge

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class SandboxRules:
    """What the operator wants.

    Attributes:
      backend: A sandbox's name, or ``auto`` for the strongest that holds.
      accept_less: Whether one that runs programs and does not hold is taken, too; never one that
        protects nothing, unless it is named.
      model_code: The weakest level at which code a model wrote is run.
    """

    backend: str = AUTO
    accept_less: bool = False
    model_code: SandboxLevel = SandboxLevel.NAMESPACE


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen.

    Attributes:
      sandbox: None where Python steps are refused.
      faults: Of each sandbox that was tried, strongest first: why it is not relied on, or None.
    """

    sandbox: SandboxBackend | None
    faults: Mapping[str, str | None]

    @property
    def holds(self) -> bool:
        """Whether what was chosen keeps in what it claims to keep in."""
        return self.sandbox is not None and self.faults.get(self.sandbox.name) is None

    @property
    def why_none(self) -> str:
        """Why no program is run, as one sentence."""
        told = "; ".join(f"{name}: {fault}" for name, fault in self.faults.items())
        return (
            f"no sandbox holds here, so Python steps are refused ({told or 'none is installed'}); "
            "codex32 doctor tells more, and the settings sandbox.backend and sandbox.accept_less "
            "let you accept less"
        )


async def choose(sandboxes: Mapping[str, SandboxBackend], rules: SandboxRules) -> Choice:
    """Try the sandboxes, strongest first, until one holds; only the chosen one stays started."""
    faults: dict[str, str | None] = {}
    if rules.backend != AUTO and rules.backend not in sandboxes:
        known = ", ".join(sorted(sandboxes))
        return Choice(None, {rules.backend: f"none is installed under this name, only {known}"})
    candidates = [each for each in sandboxes.values() if rules.backend in (AUTO, each.name)]
    candidates.sort(key=lambda each: each.level, reverse=True)
    working: SandboxBackend | None = None
    for each in candidates:
        plain = each.level == SandboxLevel.PLAIN
        if plain and rules.backend == AUTO:
            break  # it must be named
        faults[each.name] = await judge(each, claims=not plain)
        if faults[each.name] is None:
            return Choice(each, faults)
        await each.close()
        if rules.accept_less and working is None and await judge(each, claims=False) is None:
            working = each
            await each.close()
    return Choice(working, faults)


async def try_all(sandboxes: Mapping[str, SandboxBackend], rules: SandboxRules) -> Choice:
    """What would be chosen here, for people to read: nothing stays started."""
    try:
        return await choose(sandboxes, rules)
    finally:
        for sandbox in sandboxes.values():
            await sandbox.close()
