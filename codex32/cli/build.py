"""``codex32 build``: a bot from a description, as a conversation in the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from codex32.cli import build_session
from codex32.cli.context import Context, json_option, pass_context, workspace_option
from codex32.cli.groups import Group

if TYPE_CHECKING:
    from codex32.runtime import Runtime
    from codex32.services.building.builder import Builder
    from codex32.services.building.session import Session

F = TypeVar("F", bound=Callable[..., Any])
_ID = click.argument("session_id", metavar="SESSION")
_STATUSES = ("working", "asking", "ready", "accepted", "undone", "abandoned", "failed")


def _is_word(text: str) -> bool:
    # Some languages are written without spaces.
    return text.isascii() and text.replace("-", "_").isidentifier()


class _Described(Group):
    """A group whose first word may be a description instead of a command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them, those of modules of their own, too."""
        return sorted([*super().list_commands(ctx), "eval", "save"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by name."""
        if cmd_name == "eval":
            from codex32.cli.build_eval import eval_

            return eval_
        if cmd_name == "save":
            from codex32.cli.build_save import save

            return save
        return super().get_command(ctx, cmd_name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; options of ``new`` may stand before the description, too."""
        if args and args[0].startswith("--") and args[0] != "--help":
            args = ["new", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; what is no command is what is to be built."""
        if args and self.get_command(ctx, args[0]) is None:
            if _is_word(args[0]):  # a session costs money, and nobody means one by a typo
                from codex32.kernel.text import did_you_mean

                hint = did_you_mean(args[0], self.list_commands(ctx))
                told = f"there is no command {args[0]!r}{hint}; if it is what you want, write"
                raise click.UsageError(f"{told}: codex32 build new {args[0]}")
            args = ["new", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Described)
def build() -> None:
    """Build a bot from a description: codex32 build "each weekday at 8 …".

    A model writes the bot and its tests; nothing is a bot before you accept it, and a new one
    starts disabled.
    """


class _Usd(click.FloatRange):
    """An amount; what is none, or has no end, is refused."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click does; of ``nan`` no bound keeps it."""
        amount = super().convert(value, param, ctx)
        if not math.isfinite(amount):
            self.fail(f"{value!r} is no amount of money.", param, ctx)
        return amount


def _spending(command: F) -> F:
    """The options of commands that begin a session."""
    for option in (
        click.option(
            "--budget",
            type=_Usd(),
            metavar="USD",
            help="At most [builder.budget_usd].",
        ),
        click.option(
            "--model", metavar="PROVIDER:MODEL", help="That builds [setting builder.model]."
        ),
    ):
        command = option(command)
    return command


def _talking(command: F) -> F:
    """The options of commands that go on until it is somebody's turn."""
    for option in (
        click.option("--yes", is_flag=True, help="Take defaults, and accept what was proved."),
        click.option("--enable", is_flag=True, help="A new bot that is accepted starts enabled."),
    ):
        command = option(command)
    return command


@build.command()
@json_option
@workspace_option
@click.argument("description", metavar="DESCRIPTION")
@click.option("--refine", metavar="BOT", help="Change this bot instead of making one.")
@_spending
@_talking
@pass_context
def new(
    obj: Context,
    description: str,
    refine: str | None,
    model: str | None,
    budget: float | None,
    yes: bool,
    enable: bool,
    workspace: str,
) -> None:
    """Build a bot, or change one; `new` may be left out.

    Where nobody looks on, and without --yes, it ends with code 5 when it asks something or has a
    draft: go on with answer, accept or resume.
    """
    if not description.strip():  # a session costs money
        raise click.UsageError("the description is empty; say what is to be built")

    async def start(runtime: Runtime, spending: dict[str, Any]) -> Session:
        caller = obj.caller(workspace)
        session = await runtime.builder.begin(description, caller, bot=refine, **spending)
        build_session.tell_hidden(obj, [description], [session.work.description])
        return session

    build_session.begin(obj, start, model=model, budget=budget, yes=yes, enable=enable)


@build.command()
@json_option
@workspace_option
@click.argument("execution_id", metavar="EXECUTION")
@click.argument("hint", required=False, default="")
@_spending
@_talking
@pass_context
def repair(
    obj: Context,
    execution_id: str,
    hint: str,
    model: str | None,
    budget: float | None,
    yes: bool,
    enable: bool,
    workspace: str,
) -> None:
    """Mend the bot of a failed execution: by a rule where one knows what helps, else by a model.

    The draft is one of the version that is live. A test made from what is recorded fails on that
    version, and passes with the change. HINT is what you know; a model is asked then in any case.
    """
    from codex32.services.executions import executions

    async def start(runtime: Runtime, spending: dict[str, Any]) -> Session:
        find = partial(executions.find, execution_id, workspace=workspace)
        found, caller = await runtime.door.read(find), obj.caller(workspace)
        return await runtime.builder.repair(found.id, caller, hint=hint, **spending)

    build_session.begin(obj, start, model=model, budget=budget, yes=yes, enable=enable)


@build.command()
@json_option
@workspace_option
@_ID
@_talking
@pass_context
def resume(obj: Context, session_id: str, yes: bool, enable: bool, workspace: str) -> None:
    """Go on with a session: work on it, answer what it asks, decide about its draft."""
    from codex32.services.building import sessions

    async def go_on(runtime: Runtime, builder: Builder) -> Session:
        session = await runtime.door.read(sessions.get, session_id, workspace)
        return await build_session.talk(obj, runtime, session, yes=yes, enable=enable)

    build_session.end(obj, go_on)


@build.command()
@json_option
@workspace_option
@_ID
@click.argument("answers", nargs=-1, metavar="[QUESTION=ANSWER]...")
@click.option("--rest", is_flag=True, help="What is not answered takes its default.")
@pass_context
def answer(
    obj: Context, session_id: str, answers: tuple[str, ...], rest: bool, workspace: str
) -> None:
    """Answer what a session asks, in any order; resume then goes on."""
    given = dict(_pair(each) for each in answers)

    async def tell(runtime: Runtime, builder: Builder) -> Session:
        session = await builder.answer(session_id, given, obj.caller(workspace), go_on=rest)
        build_session.tell_hidden(obj, given.values(), session.work.answers.values())
        return session

    build_session.show(obj, tell)


@build.command("list")
@json_option
@workspace_option
@click.option("--status", type=click.Choice(_STATUSES), multiple=True, help="With this status.")
@click.option("--limit", default=20, type=click.IntRange(1, 1000), show_default=True)
@pass_context
def list_(obj: Context, status: tuple[str, ...], limit: int, workspace: str) -> None:
    """List sessions, the newest first."""
    from codex32.services.building import presenting, sessions

    with obj.runtime() as runtime:
        look = partial(sessions.listing, workspace, status=status, limit=limit)
        queue = runtime.door.read_now(sessions.waiting, runtime.clock.micros())
        found = runtime.door.read_now(lambda: [presenting.told(each, queue) for each in look()])
    obj.output.result(
        {"sessions": found},
        lambda: obj.output.table(
            ("id", "status", "bot", "cost", "changed", "description"),
            [
                (each["id"], each["status"], each["bot"], f"{each['cost_usd']:.4f} USD",
                 each["updated_at"], each["description"][:60])
                for each in found
            ],
            'there are no sessions; begin one with: codex32 build "what you want"',
        ),
    )  # fmt: skip


@build.command()
@json_option
@workspace_option
@_ID
@pass_context
def show(obj: Context, session_id: str, workspace: str) -> None:
    """Show a session, and its draft if there is one."""
    from codex32.services.building import sessions

    async def look(runtime: Runtime, builder: Builder) -> Session:
        return await runtime.door.read(sessions.get, session_id, workspace)

    build_session.show(obj, look, whole=True)


@build.command()
@json_option
@workspace_option
@_ID
@click.option("--enable", is_flag=True, help="A new bot starts enabled.")
@click.option("--digest", help="Of the draft you saw; default: the one that is there.")
@pass_context
def accept(
    obj: Context, session_id: str, enable: bool, digest: str | None, workspace: str
) -> None:
    """Make the draft of a session a bot; undo takes it back."""
    from codex32.services.building import sessions

    async def take(runtime: Runtime, builder: Builder) -> Session:
        session = await runtime.door.read(sessions.get, session_id, workspace)
        return await build_session.accepted(obj, runtime, session, digest, enable=enable)

    build_session.show(obj, take)


@build.command()
@json_option
@workspace_option
@_ID
@pass_context
def undo(obj: Context, session_id: str, workspace: str) -> None:
    """Take an acceptance back: the bot is as it was before."""
    from codex32.services.building import accepting

    async def take_back(runtime: Runtime, builder: Builder) -> Session:
        now, caller = runtime.clock.micros(), obj.caller(workspace)
        write = partial(accepting.undo, session_id, runtime.registry, caller, now)
        return await runtime.door.write(write)

    build_session.show(obj, take_back)


@build.command()
@json_option
@workspace_option
@_ID
@pass_context
def abandon(obj: Context, session_id: str, workspace: str) -> None:
    """Give a session up."""
    from codex32.services.building import sessions

    async def give_up(runtime: Runtime, builder: Builder) -> Session:
        now = runtime.clock.micros()
        write = partial(sessions.abandon, session_id, obj.caller(workspace), now)
        return await runtime.door.write(write)

    build_session.show(obj, give_up)


@build.command()
@json_option
@workspace_option
@_ID
@click.option(
    "--stage",
    default="compose",
    show_default=True,
    type=click.Choice(("interpret", "compose", "prove")),
    help="The first that is done anew.",
)
@click.option("--description", help="Instead of the former one; with the stage interpret.")
@_talking
@pass_context
def branch(
    obj: Context,
    session_id: str,
    stage: Any,
    description: str | None,
    yes: bool,
    enable: bool,
    workspace: str,
) -> None:
    """Go on from a stage of a session in another one."""

    async def fork(runtime: Runtime, builder: Builder) -> Session:
        session = await builder.branch(session_id, stage, obj.caller(workspace), description)
        return await build_session.talk(obj, runtime, session, yes=yes, enable=enable)

    build_session.end(obj, fork)


def _pair(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark:
        raise click.UsageError(f"write QUESTION=ANSWER, not {text!r}")
    return name, value
