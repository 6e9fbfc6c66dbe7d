"""A plugin's own tables."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources.abc import Traversable


@dataclass(frozen=True, slots=True)
class MigrationSource:
    """Numbered scripts with ``up(migrator, db)`` and ``down(migrator, db)``.

    Attributes:
      name: Of the history table ``schema_migration_<name>``.
      scripts: The folder that holds ``0001_….py``, as ``importlib.resources.files`` gives it.
    """

    name: str
    scripts: Traversable
