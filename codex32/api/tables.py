"""The tables of the reference that follow from declarations.

They stand in pages that people write, between two comments; what is between them is replaced by
``python -m codex32.api.tables docs/reference``.
"""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from codex32.api.application import all_operations
from codex32.api.errors import STATUSES, Internal
from codex32.api.operations import Operation
from codex32.kernel import schema
from codex32.kernel.contracts.route import PUBLIC
from codex32.kernel.database import connect
from codex32.kernel.errors import Codex32Error
from codex32.kernel.permissions import PERMISSIONS, Level, Role
from codex32.kernel.plugins import Plugins
from codex32.runtime import open_runtime
from codex32.tables import migration_sources
from codex32_config.settings import load_settings


def operations_table(operations: Sequence[Operation]) -> str:
    """What the house serves; routes of plugins are theirs to tell."""
    lines = ["| Method | Path | Permission | |", "|---|---|---|---|"]
    for each in operations:
        if each.plugin == "api":
            policy = "open" if each.route.policy == PUBLIC else f"`{each.route.policy}`"
            place = f"`{each.route.method}` | `{each.path}`"
            lines.append(f"| {place} | {policy} | {each.route.summary} |")
    return "\n".join(lines)


def permissions_table() -> str:
    """Who may do what: inside a workspace by role, else by what the permission reaches."""
    heads = " | ".join(f"`{role.value}`" for role in Role)
    lines = [f"| Permission | Reaches | {heads} | |", "|---|---|" + "---|" * (len(Role) + 1)]
    for each in PERMISSIONS.values():
        marks = " | ".join(_mark(each.level, role in each.roles) for role in Role)
        lines.append(f"| `{each.name}` | {each.level.value} | {marks} | {each.summary} |")
    return "\n".join(lines)


def problems_table() -> str:
    """Which errors the API tells of, by status."""
    known: set[tuple[int, type[Codex32Error]]] = {(500, Internal)}
    known |= {(status, kind) for kind, status in STATUSES.items()}
    lines = ["| Status | Code | |", "|---|---|---|"]
    for status, kind in sorted(known, key=lambda each: (each[0], each[1].code)):
        about = (inspect.getdoc(kind) or "").partition("\n")[0]
        lines.append(f"| {status} | `{kind.code}` | {about} |")
    return "\n".join(lines)


def _mark(level: Level, held: bool) -> str:
    return "yes" if held or level is Level.SELF else ""


def filled(page: str, name: str, table: str) -> str:
    """The page with the table in its place."""
    begin, end = f"<!-- {name}: made by codex32.api.tables -->", f"<!-- end of {name} -->"
    pattern = f"{re.escape(begin)}\n.*?{re.escape(end)}"
    return re.sub(pattern, lambda _: f"{begin}\n{table}\n{end}", page, count=1, flags=re.DOTALL)


def house_operations() -> list[Operation]:
    """The operations of a house with nothing but what is its own."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(folder=Path(folder), overrides={}, environ={})
        extra = [("builtin", "codex32.builtin.plugin")]
        plugins = Plugins.load({}, group="codex32.none", extra=extra, strict=True)
        settings.home.mkdir(parents=True)
        database = connect(settings.database_url)
        schema.upgrade(database, migration_sources(plugins))
        database.close()
        runtime = open_runtime(settings, "api", plugins=plugins)
        try:
            return all_operations(runtime)
        finally:
            runtime.close()


def tables(operations: Sequence[Operation]) -> Iterator[tuple[str, str, str]]:
    """Each page's file name, the name of the table in it, and the table."""
    yield "http-api.md", "operations", operations_table(operations)
    yield "http-api.md", "problems", problems_table()
    yield "permissions.md", "permissions", permissions_table()


def main(folder: str) -> None:
    """Bring the pages of a folder up to date."""
    for page, name, table in tables(house_operations()):
        path = Path(folder) / page
        path.write_text(filled(path.read_text(encoding="utf-8"), name, table), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
