"""A session of the builder in the terminal: begun, worked on, talked about, shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from codex32.cli.context import Context
from codex32.cli.failures import FAILED, UNDECIDED, CommandFailed

if TYPE_CHECKING:
    from codex32.runtime import Runtime
    from codex32.services.building.builder import Builder
    from codex32.services.building.session import Session

T = TypeVar("T")


def begin(
    obj: Context,
    start: Callable[[Runtime, dict[str, Any]], Awaitable[Session]],
    *,
    model: str | None,
    budget: float | None,
    yes: bool,
    enable: bool,
) -> None:
    """Begin a session, go on with it until it is somebody's turn, and exit as it stands then.

    Args:
      obj: Of the command.
      start: Begins it, with the ``model`` and the ``budget_nano`` that it is given.
      model: ``provider:model`` that builds; None for that of the settings.
      budget: US dollars at most; None for those of the settings.
      yes: As :func:`talk`, and so ``enable``.
      enable: A new bot that is accepted starts enabled.
    """

    async def begun(runtime: Runtime, builder: Builder) -> Session:
        from codex32.services.ai.money import nano

        budget_nano = None if budget is None else nano(budget)
        session = await start(runtime, {"model": model, "budget_nano": budget_nano})
        name = session.id
        obj.output.note(f"session {name}; go on later with: codex32 build resume {name}")
        return await talk(obj, runtime, session, yes=yes, enable=enable)

    end(obj, begun)


async def talk(
    obj: Context, runtime: Runtime, session: Session, *, yes: bool, enable: bool
) -> Session:
    """Work on a session and ask its person, until it is over or nobody is there to be asked.

    Args:
      obj: Of the command.
      runtime: Whose builder works.
      session: Wherever it is.
      yes: Nobody is asked: defaults are taken, and what was proved is accepted.
      enable: A new bot that is accepted starts enabled.
    """
    from codex32.cli import build_view

    builder, caller = runtime.builder, obj.caller(session.workspace)
    listening = obj.output.live and not yes
    seen: str | None = None
    while True:
        if session.status == "working":
            session = await builder.run(
                session.id, session.workspace, lambda each: obj.output.note(build_view.doing(each))
            )
        elif session.status == "asking" and (yes or listening):
            given = {} if yes else await asyncio.to_thread(build_view.ask, session)
            session = await builder.answer(session.id, given, caller, go_on=True)
            tell_hidden(obj, given.values(), session.work.answers.values())
        elif session.status == "ready" and (yes or listening):
            if listening:
                draft = await draft_of(runtime, session)
                seen = draft["digest"]
                build_view.draft(obj.output, draft)
                if draft["file"] is not None:
                    obj.output.note(build_view.in_file(session.id, draft))
                    return session
                if not await asyncio.to_thread(click.confirm, "accept it?"):
                    obj.output.note(f"it stays: codex32 build accept {session.id}")
                    return session
            session = await accepted(obj, runtime, session, seen, enable=enable)
        else:
            return session


def tell_hidden(obj: Context, said: Iterable[str], kept: Iterable[str]) -> None:
    """Say it where something of what somebody said was taken for a secret."""
    from codex32.kernel.masking import MASK

    if any(MASK in each for each in kept) and not any(MASK in each for each in said):
        obj.output.note(
            f"what is a secret, or looks like one, is told to no model: it stands as {MASK}; keep "
            "it with: codex32 secrets set NAME"
        )


async def accepted(
    obj: Context, runtime: Runtime, session: Session, digest: str | None, *, enable: bool
) -> Session:
    """The session after its draft was accepted: that of ``digest``, or the one that is there."""
    from codex32.cli import build_view
    from codex32.services.building import accepting

    if session.status == "ready" and (draft := await draft_of(runtime, session))["file"]:
        raise CommandFailed(build_view.in_file(session.id, draft), "bot-read-only")
    chosen = digest or (await draft_of(runtime, session))["digest"]
    wish = accepting.Acceptance(session.id, chosen, enable)
    return await runtime.builder.accept(wish, obj.caller(session.workspace))


async def draft_of(runtime: Runtime, session: Session) -> dict[str, Any]:
    """The draft of a session as people are shown it."""
    return await runtime.door.read(runtime.builder.presenter.draft, session)


def do(obj: Context, work: Callable[[Runtime, Builder], Awaitable[T]]) -> T:
    """What ``work`` comes to, on a runtime that is there for it alone."""

    async def run() -> T:
        try:
            return await work(runtime, runtime.builder)
        finally:
            await runtime.models.close()
            await runtime.leave()

    with obj.runtime() as runtime:
        return asyncio.run(run())


def show(
    obj: Context, work: Callable[[Runtime, Builder], Awaitable[Session]], *, whole: bool = False
) -> str:
    """Do something with a session, and tell what it is then; its status.

    Its draft is told where it is to be decided about, unless it was a moment ago, or where the
    ``whole`` of a session is wanted.
    """
    from codex32.cli import build_view
    from codex32.services.building import presenting, sessions

    async def told(runtime: Runtime, builder: Builder) -> tuple[Any, Any]:
        session = await work(runtime, builder)
        # Whoever looks on was shown it when they were asked about it.
        told = ("failed",) if obj.output.live else ("failed", "ready")
        there = session.work.yaml and (whole or session.status in told)
        draft = await draft_of(runtime, session) if there else None
        queue = await runtime.door.read(sessions.waiting, runtime.clock.micros())
        return await runtime.door.read(presenting.told, session, queue), draft

    session, draft = do(obj, told)
    obj.output.result(
        {**session, "draft": draft}, lambda: build_view.session(obj.output, session, draft)
    )
    return str(session["status"])


def end(obj: Context, work: Callable[[Runtime, Builder], Awaitable[Session]]) -> None:
    """As :func:`show`, and exit as the session stands."""
    status = show(obj, work)
    if status in ("failed", "abandoned"):
        raise SystemExit(FAILED)
    if status in ("asking", "ready"):
        raise SystemExit(UNDECIDED)
