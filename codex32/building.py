"""The builder as the settings want it."""

from __future__ import annotations

from functools import partial

from codex32.engine.reading.definition import Reader
from codex32.services.ai.money import nano
from codex32.services.ai.parts import Models
from codex32.services.bots.definitions import Definitions
from codex32.services.bots.registry import Registry
from codex32.services.building.builder import Builder, Choice
from codex32.services.building.looking import Workshop
from codex32.services.building.presenting import Presenter
from codex32.services.building.proving import prove
from codex32.services.building.stages import Rules, Stages
from codex32.services.explaining.cost import tariffs
from codex32.services.safe.secret_lookup import SecretLookup
from codex32_config.settings import Settings


def builder(
    settings: Settings,
    models: Models,
    reader: Reader,
    definitions: Definitions,
    registry: Registry,
    secrets: SecretLookup,
) -> Builder:
    """Makes bots of descriptions; belongs to the running event loop."""
    chosen = settings.builder
    workshop = Workshop(models.door, models.components, definitions, secrets.values)
    stages = Stages(
        models.gateway,
        reader,
        workshop,
        partial(prove, project=settings.folder),
        Rules(chosen.rounds, chosen.kill_share),
    )
    presenter = Presenter(
        reader,
        registry,
        models.components,
        tariffs(models.components, models.prices),
        models.clock,
    )
    choice = Choice(
        chosen.model,
        tuple(chosen.fallback),
        nano(chosen.budget_usd),
        chosen.seconds,
        chosen.at_once,
    )
    return Builder(models.door, models.clock, models.payloads, workshop, stages, presenter, choice)
