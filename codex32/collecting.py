"""Collections as the settings want them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codex32.kernel.components import Components
from codex32.kernel.contracts.gateway import ModelGateway
from codex32.kernel.contracts.program import ProgramRunner
from codex32.services.ai.parts import Models
from codex32.services.retrieval.retrieval import Defaults, Retrieval
from codex32_config.settings import Settings

#: The first of these that is installed is taken where the settings say nothing.
EMBEDDERS = ("minilm", "hash")
STORES = ("milvus", "memory")


def keeper(
    settings: Settings, models: Models, gateway: ModelGateway, programs: ProgramRunner
) -> Retrieval:
    """Keeps collections; belongs to the running event loop."""
    components = models.components
    return Retrieval(
        door=models.door,
        clock=models.clock,
        components=components,
        models=gateway,
        programs=programs,
        defaults=defaults(settings, components),
    )


def defaults(settings: Settings, components: Components) -> Defaults:
    """What new collections are made with."""
    return Defaults(
        embedder=settings.retrieval.embedder or _first(EMBEDDERS, components.embedders),
        store=settings.retrieval.store or _first(STORES, components.vector_stores),
    )


def _first(names: Sequence[str], installed: Mapping[str, object]) -> str:
    return next((each for each in names if each in installed), names[-1])
