"""A bot of the registry, explained."""

from __future__ import annotations

from collections.abc import Mapping

from codex32.kernel.clock import from_micros
from codex32.kernel.components import Components
from codex32.kernel.errors import VersionNotFound
from codex32.kernel.json_values import JSON
from codex32.services.ai.prices import Prices
from codex32.services.bots import bots
from codex32.services.bots.definitions import Definitions
from codex32.services.explaining.cost import estimate, history_of, midnight, tariffs
from codex32.services.explaining.diagram import diagram
from codex32.services.explaining.wants import wants_of
from codex32.services.explaining.words import explain


def explanation(
    name: str,
    now: int,
    definitions: Definitions,
    components: Components,
    prices: Prices,
    *,
    workspace: str = "default",
) -> Mapping[str, JSON]:
    """The live version in words, as a diagram, by what it wants and what it costs.

    Raises:
      BotNotFound: There is no such bot.
      VersionNotFound: It has no live version.
    """
    row = bots.get(name, workspace=workspace)
    if row.active_version_id is None:
        raise VersionNotFound(f"of {name} that is live", ["none"])
    bot = definitions.bot(row.active_version_id)
    cost = estimate(
        bot,
        components,
        tariffs(components, prices),
        midnight(from_micros(now)),
        history_of(row.id, now),
    )
    words = explain(bot, components)
    return {
        **words.as_dict(),
        "text": words.text(),
        "diagram": diagram(bot),
        "wants": [each.as_dict() for each in wants_of(bot)],
        "cost": cost.as_dict(),
    }
