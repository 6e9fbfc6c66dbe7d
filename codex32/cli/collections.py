"""``codex32 collections``: documents that bots search in."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.failures import FAILED
from codex32.cli.groups import Group

if TYPE_CHECKING:
    from codex32.kernel.contracts.gateway import ModelCaller
    from codex32.runtime import Runtime
    from codex32.services.retrieval.moving import Moved, Mover, OnProgress
    from codex32.services.retrieval.quality import Question
    from codex32.services.retrieval.retrieval import Retrieval

T = TypeVar("T")
_NAME = click.argument("name", metavar="NAME")
_PATIENCE = timedelta(days=1)


@click.group(cls=Group)
def collections() -> None:
    """Look after documents that bots search in."""


@collections.command("list")
@json_option
@workspace_option
@pass_context
def list_(obj: Context, workspace: str) -> None:
    """List collections, with what they hold."""
    from codex32.services.retrieval import keeping

    with obj.runtime() as runtime:
        now = runtime.clock.micros()
        found = runtime.door.read_now(partial(keeping.listing, workspace, now, limit=100_000))
    obj.output.result(
        {"collections": found},
        lambda: obj.output.table(
            ("name", "documents", "chunks", "embedder", "store", "changed"),
            [
                (each["name"], each["documents"], each["chunks"], each["embedder"],
                 each["store"], each["updated_at"])
                for each in found
            ],
            "there are no collections; a bot of type index makes one",
        ),
    )  # fmt: skip


@collections.command()
@json_option
@workspace_option
@_NAME
@pass_context
def show(obj: Context, name: str, workspace: str) -> None:
    """Show a collection and its documents."""
    from codex32.services.retrieval import keeping
    from codex32.services.retrieval.caution import caution
    from codex32.services.retrieval.progress import sentence

    with obj.runtime() as runtime:
        found = runtime.door.read_now(keeping.show, workspace, name, runtime.clock.micros())
        found["caution"] = caution(runtime.components, str(found["embedder"]))
        documents = runtime.door.read_now(
            partial(keeping.documents, workspace, name, limit=100_000)
        )

    def shown() -> None:
        obj.output.facts(list({**found, "changing": sentence(found["changing"])}.items()))
        obj.output.line()
        obj.output.table(
            ("source", "chunks", "characters", "indexed"),
            [(d["source"], d["chunks"], d["characters"], d["indexed_at"]) for d in documents],
            "it holds no documents",
        )

    obj.output.result({**found, "items": documents}, shown)


@collections.command()
@json_option
@workspace_option
@_NAME
@click.argument("text", metavar="TEXT")
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 100))
@click.option("--where", metavar="JSON", help='What must hold of documents: \'{"team": "ops"}\'.')
@click.option("--explain", is_flag=True, help="Say how each was found.")
@pass_context
def query(
    obj: Context,
    name: str,
    text: str,
    limit: int,
    where: str | None,
    explain: bool,
    workspace: str,
) -> None:
    """Find parts of documents by meaning and by words."""
    from codex32.kernel.contracts.collections import SearchOrder

    order = SearchOrder(name, text, limit, None if where is None else _json(where))

    async def search(runtime: Runtime, retrieval: Retrieval, caller: ModelCaller) -> Any:
        return await retrieval.hits(caller, order)

    hits = _do(obj, workspace, search)
    told = [
        {
            "source": each.source,
            "heading": each.heading,
            "text": each.text,
            "score": each.score,
            "similarity": each.similarity,
            "coverage": each.coverage,
            "dense_rank": each.dense_rank,
            "keyword_rank": each.keyword_rank,
            "metadata": dict(each.metadata),
        }
        for each in hits
    ]

    def shown() -> None:
        for each in told:
            place = " > ".join(filter(None, (each["source"], each["heading"])))
            obj.output.line(f"{each['score']:.3f}  {place}", "bold")
            if explain:
                near = each["similarity"]
                obj.output.line(
                    f"       near: {_rank(each['dense_rank'])}"
                    f"{'' if near is None else f' (similarity {near:.3f})'}"
                    f" · words: {_rank(each['keyword_rank'])} (coverage {each['coverage']:.0%})"
                )
            obj.output.line("       " + " ".join(each["text"].split())[:300])
        if not told:
            obj.output.note("nothing was found")

    obj.output.result({"items": told}, shown)


@collections.command()
@json_option
@workspace_option
@_NAME
@pass_context
def verify(obj: Context, name: str, workspace: str) -> None:
    """Hold the index of a collection to its rows, record by record."""

    async def check(runtime: Runtime, retrieval: Retrieval, caller: ModelCaller) -> Any:
        return await retrieval.verify(workspace, name)

    verdict = _do(obj, workspace, check)
    told = {
        "name": name,
        "sound": verdict.sound,
        "expected": verdict.expected,
        "missing": list(verdict.missing),
        "ghosts": list(verdict.ghosts),
        "unembedded": verdict.unembedded,
        "damaged": list(verdict.damaged),
    }

    def shown() -> None:
        if verdict.sound:
            obj.output.line(
                f"{name} is sound: {verdict.expected} records are where they should be"
            )
            return
        obj.output.line(
            f"{name}: of {verdict.expected} records {len(verdict.missing)} are missing, "
            f"{len(verdict.ghosts)} should not be there; {verdict.unembedded} chunks have no "
            f"vector and {len(verdict.damaged)} a damaged one"
        )
        for each in (*verdict.missing, *verdict.ghosts)[:10]:
            obj.output.line(f"  {each}")
        obj.output.note(f"make the index anew with: codex32 collections rebuild {name}")

    obj.output.result(told, shown)
    if not verdict.sound:
        raise SystemExit(FAILED)


@collections.command()
@json_option
@workspace_option
@_NAME
@pass_context
def rebuild(obj: Context, name: str, workspace: str) -> None:
    """Make the index of a collection anew from its rows; the old one serves until then."""

    async def build(mover: Mover, on_progress: OnProgress) -> Any:
        return await mover.rebuild(name, on_progress)

    verdict = _move(obj, workspace, build)
    told = {"name": name, "missing": len(verdict.missing), "ghosts": len(verdict.ghosts)}
    obj.output.result(
        {**told, "damaged": len(verdict.damaged)},
        lambda: obj.output.line(
            f"{name} was made anew; before, {told['missing']} records were missing, "
            f"{told['ghosts']} should not have been there, {len(verdict.damaged)} were damaged"
        ),
    )


@collections.command()
@json_option
@workspace_option
@_NAME
@click.option("--embedder", metavar="NAME", help="Whose vectors it shall have.")
@click.option("--rollback", is_flag=True, help="Back to the embedder before.")
@click.option(
    "--queries",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='JSON lines {"query": "…", "sources": ["…"]} to judge by; default: sampled passages.',
)
@click.option(
    "--max-drop",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="By how much the share of queries that find their document may fall; with 1, none is "
    "asked.",
)
@click.option("--dry-run", is_flag=True, help="Say what it would take.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_context
def reindex(
    obj: Context,
    name: str,
    embedder: str | None,
    rollback: bool,
    queries: Path | None,
    max_drop: float,
    dry_run: bool,
    yes: bool,
    workspace: str,
) -> None:
    """Move a collection to another embedder, if what is sought is found there as well.

    The old index serves until the new one is proved. What was embedded is kept: a move that was
    cut off goes on, and one back costs nothing.
    """
    from codex32.services.retrieval import keeping

    if math.isnan(max_drop):  # which every fall is smaller than
        raise click.UsageError("--max-drop is a number from 0 to 1")
    if rollback == (embedder is not None):
        raise click.UsageError("give either --embedder or --rollback")
    with obj.runtime() as runtime:
        there = runtime.door.read_now(keeping.get, workspace, name)
    wanted = there.former if rollback else embedder
    if wanted is None:
        raise click.UsageError(f"{name} had no other embedder before {there.embedder}")
    questions = [] if queries is None else _questions(queries)

    async def estimate(mover: Mover, _: OnProgress) -> Any:
        return await mover.cost(name, wanted)

    cost = _move(obj, workspace, estimate)
    obj.output.note(
        f"{cost.lacking} of {cost.chunks} chunks are to be embedded by {wanted}: "
        f"about {cost.tokens} tokens"
    )
    told: dict[str, Any] = {
        "name": name,
        "embedder": wanted,
        "chunks": cost.chunks,
        "lacking": cost.lacking,
        "tokens": cost.tokens,
    }
    if dry_run:
        obj.output.result({**told, "moved": False}, lambda: None)
        return
    if cost.lacking and not yes:
        if obj.json:
            raise click.UsageError("reindexing with --json needs --yes or --dry-run")
        click.confirm("go on?", abort=True, err=True)

    async def move(mover: Mover, on_progress: OnProgress) -> Any:
        drop = 1.0 if rollback else max_drop
        return await mover.move(name, wanted, on_progress, questions=questions, max_drop=drop)

    moved = _move(obj, workspace, move)
    _tell_moved(obj, moved, {**told, "moved": True})


def _tell_moved(obj: Context, moved: Moved, told: dict[str, Any]) -> None:
    before, after, said = moved.before, moved.after, ""
    if before and after:
        told |= {"queries": after.asked, "before": before.share, "after": after.share}
        said = (
            f": of {after.asked} queries {before.share:.0%} found their document before, "
            f"{after.share:.0%} do now"
        )
    line = f"{moved.collection} is with {moved.embedder} now{said}"
    obj.output.result(told, lambda: obj.output.line(line))


@collections.command()
@json_option
@workspace_option
@_NAME
@click.option("--dry-run", is_flag=True, help="Say what would be deleted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_context
def delete(obj: Context, name: str, workspace: str, dry_run: bool, yes: bool) -> None:
    """Delete a collection with its documents and its index."""
    from codex32.services.retrieval import keeping

    with obj.runtime() as runtime:
        found = runtime.door.read_now(keeping.show, workspace, name, runtime.clock.micros())

    async def remove(runtime: Runtime, retrieval: Retrieval, caller: ModelCaller) -> None:
        await retrieval.delete(workspace, name, obj.caller(workspace))

    if not dry_run:
        if not yes:
            if obj.json:
                raise click.UsageError("deleting with --json needs --yes or --dry-run")
            asked = f"Delete the collection {name} with {found['documents']} documents?"
            click.confirm(asked, abort=True, err=True)
        _do(obj, workspace, remove)
    told = "would be deleted" if dry_run else "deleted"
    obj.output.result(
        {"name": name, "deleted": not dry_run, "documents": found["documents"]},
        lambda: obj.output.line(f"{name} {told}, with {found['documents']} documents"),
    )


def _do(
    obj: Context,
    workspace: str,
    work: Callable[[Runtime, Retrieval, ModelCaller], Awaitable[T]],
) -> T:
    from codex32.kernel.contracts.gateway import ModelCaller

    async def run() -> T:
        caller = ModelCaller(
            workspace, runtime.clock.now() + _PATIENCE, purpose="codex32 collections"
        )
        async with _retrieval(runtime) as retrieval:
            return await work(runtime, retrieval, caller)

    with obj.runtime() as runtime:
        return asyncio.run(run())


@asynccontextmanager
async def _retrieval(runtime: Runtime) -> AsyncIterator[Retrieval]:
    programs = runtime.programs()
    retrieval = runtime.retrieval(programs)
    try:
        yield retrieval
    finally:
        await programs.close()
        await retrieval.close()
        await runtime.models.close()
        await runtime.leave()


def _move(obj: Context, workspace: str, work: Callable[[Mover, OnProgress], Awaitable[T]]) -> T:
    """Do something with a mover, its progress as a bar."""
    from codex32.services.retrieval.moving import Mover

    async def run(runtime: Runtime, retrieval: Retrieval, caller: ModelCaller) -> T:
        by = obj.caller(workspace)
        mover = Mover(retrieval, runtime.door, runtime.components, caller, runtime.clock, by)
        with obj.output.stages() as on_progress:
            return await work(mover, on_progress)

    return _do(obj, workspace, run)


def _rank(rank: int | None) -> str:
    return "not among them" if rank is None else f"no. {rank}"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"--where is no JSON: {error}") from None


def _questions(path: Path) -> list[Question]:
    from codex32.services.retrieval.quality import Question

    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            match json.loads(line):
                case {"query": str(query), "sources": [*sources]} if query.strip() and sources:
                    found.append(Question(query, tuple(map(str, sources))))
                    continue
        except ValueError:
            pass
        told = 'write {"query": "…", "sources": ["…"]}'
        raise click.UsageError(f"{path}:{number}: {told}")
    if not found:
        raise click.UsageError(f"{path} holds no query")
    return found
