"""``codex32 audit``: who changed what, and whether the log of it is whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import click

from codex32.cli import failures
from codex32.cli.context import Context, json_option, pass_context
from codex32.cli.groups import Group
from codex32.cli.why import Moment

if TYPE_CHECKING:
    from codex32.runtime import Runtime
    from codex32.services.safe.audit_chain import Verdict
    from codex32.services.safe.audit_log import Part, Query

F = TypeVar("F", bound=Callable[..., Any])


@click.group(cls=Group)
def audit() -> None:
    """See who changed what and from where, and whether the log of it is whole."""


def _filters(command: F) -> F:
    for option in (
        click.option("--until", type=Moment(), metavar="TIME", help="Only before this time."),
        click.option(
            "--since", type=Moment(), metavar="TIME", help="Only since this time; 08:00 is today."
        ),
        click.option(
            "--actor",
            metavar="NAME",
            help="Of this user and her keys, or of this key or program: name or id.",
        ),
        click.option("--subject", metavar="NAME", help="About this one."),
        click.option(
            "--action", metavar="ACTION", help="Of this kind: bot.paused; or of a thing: bot."
        ),
        click.option("--workspace", metavar="NAME", help="Of this workspace; default: all."),
    ):
        command = option(command)
    return command


@audit.command("list")
@json_option
@_filters
@click.option("--limit", default=20, type=click.IntRange(1, 1000), show_default=True)
@click.option("--before", type=click.IntRange(1), metavar="SEQ", help="Older than this one.")
@pass_context
def list_(obj: Context, /, limit: int, before: int | None, **filters: Any) -> None:
    """List entries, newest first."""
    from codex32.services.safe import audit_log

    with obj.runtime() as runtime:
        query = _query(limit=limit, before=before, **filters)
        rows = runtime.door.read_now(audit_log.listing, query)
    found = [audit_log.as_dict(row) for row in rows]
    obj.output.result(
        {"entries": found},
        lambda: obj.output.table(
            ("seq", "at", "who", "from", "workspace", "did", "to", "outcome"),
            [
                (each["seq"], each["at"], each["actor"]["name"], each["address"],
                 each["workspace"], each["action"], each["subject"], each["outcome"])
                for each in found
            ],
            "nothing was changed",
        ),
    )  # fmt: skip


@audit.command()
@json_option
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also whether this file is what was sealed, byte for byte.",
)
@click.pass_context
def verify(ctx: click.Context, file: Path | None) -> None:
    """Go over the whole log, and name the first entry that is wrong or missing.

    Heads that the scheduler has noted in the home folder show whether its end was cut off. Exit
    code 1 where something is wrong.
    """
    obj = ctx.find_object(Context)
    assert obj is not None
    with obj.runtime() as runtime:
        verdict, part = _verify(runtime, file)
    data = {
        "entries": verdict.entries,
        "seq": verdict.seq,
        "hash": verdict.hash,
        "broken": verdict.broken,
        "reason": verdict.reason,
    }
    if file is not None:
        data["file"] = None if part is None else {"first": part[0], "last": part[1]}
    obj.output.result(data, lambda: _tell(obj, verdict, file, part))
    if verdict.broken is not None or (file is not None and part is None):
        ctx.exit(failures.FAILED)


def _verify(runtime: Runtime, file: Path | None) -> tuple[Verdict, tuple[int, int] | None]:
    from codex32.services.safe import audit_chain, audit_log

    anchors = runtime.anchors.read()
    verdict = runtime.door.read_now(audit_chain.verify, anchors)
    if file is None:
        return verdict, None
    return verdict, runtime.door.read_now(audit_log.genuine, file.read_bytes())


def _tell(obj: Context, verdict: Verdict, file: Path | None, part: tuple[int, int] | None) -> None:
    if verdict.broken is None:
        obj.output.line(f"the audit log is whole: {verdict.entries} entries, up to {verdict.seq}")
    else:
        obj.output.line(f"entry {verdict.broken} is broken: {verdict.reason}")
    if file is not None and part is None:
        obj.output.line(f"{file} is nothing that was sealed here, or was changed")
    elif part is not None:
        obj.output.line(f"{file} holds entries {part[0]} to {part[1]} as they were sealed")


@audit.command()
@json_option
@_filters
@click.argument("file", type=click.Path(path_type=Path), required=False)
@pass_context
def export(obj: Context, /, file: Path | None, **filters: Any) -> None:
    """Write entries to FILE, or to standard output: a JSON object a line, oldest first."""
    from codex32.services.safe import audit_log

    with obj.runtime() as runtime:
        if file is None:
            for row in audit_log.oldest_first(_query(**filters)):
                print(audit_log.line(row), file=obj.output.stdout)
            return
        part = _write(runtime, file, _query(**filters))
    _result(obj, file, part, "exported")


@audit.command()
@json_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--until", type=Moment(), metavar="TIME", required=True, help="Entries before this time."
)
@pass_context
def seal(obj: Context, file: Path, until: datetime) -> None:
    """Move the oldest entries into FILE: the only way in which any leave the database.

    The log is verified first. What is left goes on from the seal, which keeps the digest of FILE
    so that `audit verify --file FILE` knows it again; keep FILE as long as the law wants.
    """
    from codex32.kernel.clock import to_micros
    from codex32.services.safe import audit_log

    with obj.runtime() as runtime:
        anchors = runtime.anchors.read()
        query = runtime.door.read_now(audit_log.sealable, to_micros(until), anchors)
        part = _write(runtime, file, query)
        if part is not None:
            now = runtime.clock.micros()
            runtime.door.write_now(partial(audit_log.seal, part, obj.caller(), now))
            while runtime.door.write_now(partial(audit_log.let_go, part.last)):
                pass
    _result(obj, file, part, "sealed")


def _write(runtime: Runtime, file: Path, query: Query) -> Part | None:
    """Write what ``query`` asks for to a new file, safe on the disk before anything is sealed."""
    from codex32.services.safe import audit_log

    with _new_file(file) as out:
        part = runtime.door.read_now(
            lambda: audit_log.exported(audit_log.oldest_first(query), out.write)
        )
        out.flush()
        os.fsync(out.fileno())
    if part is None:
        file.unlink()
    return part


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        yield file


def _result(obj: Context, file: Path, part: Part | None, how: str) -> None:
    if part is None:
        obj.output.result({"entries": 0}, lambda: obj.output.note("there are no such entries"))
        return
    data = {"file": str(file), "first": part.first, "last": part.last, "sha256": part.digest}
    told = f"entries {part.first} to {part.last} are {how} in {file}"
    obj.output.result(data, lambda: obj.output.line(told))


def _query(
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    **given: Any,
) -> Query:
    from codex32.kernel.clock import to_micros
    from codex32.services.safe import audit_log

    return audit_log.Query(
        since=None if since is None else to_micros(since),
        until=None if until is None else to_micros(until),
        **given,
    )
