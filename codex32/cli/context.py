"""What every command is given as ``ctx.obj``: settings, plugins, output; made when asked for."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from codex32.cli.output import Output

if TYPE_CHECKING:
    from codex32.kernel.caller import Caller
    from codex32.kernel.plugins import Plugins
    from codex32.runtime import Runtime
    from codex32_config.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


class Context:
    """The object of the command line; commands of plugins may use all of it.

    Args:
      folder: The project folder; None for the present one.
      files: Settings files instead of the project's own.
      json: Whether results are JSON.
      debug: Whether faults are shown with their traceback.
    """

    def __init__(
        self,
        folder: Path | None = None,
        files: Sequence[Path] = (),
        *,
        json: bool = False,
        debug: bool = False,
    ) -> None:
        self.folder, self.files = folder, tuple(files)
        self.json, self.debug = json, debug
        self._overrides: dict[str, Any] = {}

    @property
    def output(self) -> Output:
        """Where results go."""
        if self._output.as_json != self.json:
            del self.__dict__["_output"]
        return self._output

    @cached_property
    def _output(self) -> Output:
        return Output(self.json)

    @cached_property
    def settings(self) -> Settings:
        """The settings, read when they are first needed.

        Raises:
          SettingsError: All their faults.
        """
        from codex32.kernel.drivers import load_peewee
        from codex32_config.settings import load_settings

        settings = load_settings(folder=self.folder, files=self.files, overrides=self._overrides)
        load_peewee(settings.database_url)
        return settings

    def override(self, values: Mapping[str, Any]) -> None:
        """Let ``values``, by dotted names, win over every other setting; None changes nothing."""
        self._overrides |= {name: value for name, value in values.items() if value is not None}
        self.__dict__.pop("settings", None)
        self.__dict__.pop("plugins", None)

    def speak_as_service(self) -> None:
        """Say what is said in the form of the log, where that is one for machines.

        It comes before plugins are loaded, for they may have something to say.
        """
        if self.settings.log.format == "ecs":
            from codex32.cli.logs import speak_as_set

            speak_as_set(self.settings)

    @cached_property
    def plugins(self) -> Plugins:
        """The installed plugins, loaded when they are first needed."""
        from codex32.installed import load_plugins

        return load_plugins(self.settings)

    def caller(self, workspace: str = "default") -> Caller:
        """Whoever sits here: the machine lets them in, so they may do everything."""
        import getpass

        from codex32.kernel.caller import Caller

        try:
            name = getpass.getuser()
        except (OSError, KeyError):  # a container without an entry for its user
            name = "local"
        return Caller("local", "local", name, admin=True, workspace=workspace, permissions=None)

    def command_line(self) -> list[str]:
        """How a process is started that is to work with the same project and settings files."""
        options = [part for file in self.files for part in ("--config", str(file))]
        options += ["--folder", str(self.settings.folder)]
        return [sys.executable, "-P", "-m", "codex32", *options]

    def tell_news(self, runtime: Runtime) -> Coroutine[Any, Any, None]:
        """Print what happens in the house from now on, until cancelled, for ``codex32 up``."""
        from codex32.cli.news import tell

        trace = None if runtime.traces is None else runtime.traces.tracing.of
        return tell(runtime.door, runtime.clock.micros(), trace)

    @contextlib.contextmanager
    def runtime(self, *, upgrade: bool = False, ring: bool = False) -> Iterator[Runtime]:
        """The parts put together for this process, let go of at the end.

        Args:
          upgrade: Bring the database's tables up to date first.
          ring: Let workers know at once of what is started, also through the Redis of ``up``.

        Raises:
          SchemaOutOfDate: They are not, and ``upgrade`` is not set.
        """
        from codex32.bundled import running_redis_url
        from codex32.runtime import open_runtime
        from codex32.tables import upgrade_schema

        if ring and self.settings.redis_url is None:
            self.override({"redis_url": running_redis_url(self.settings)})
        if upgrade and (applied := upgrade_schema(self.settings, self.plugins)):
            self.output.note(f"brought the database up to date ({len(applied)} migrations)")
        runtime = open_runtime(self.settings, "cli", plugins=self.plugins)
        try:
            yield runtime
        finally:
            runtime.close()


pass_context = click.make_pass_decorator(Context)


def json_option(command: F) -> F:
    """Let ``--json`` stand behind the command as well as before it."""
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_choose_json,
        help="Print JSON instead of text.",
    )(command)


def _choose_json(ctx: click.Context, _: click.Parameter, chosen: bool) -> None:
    if chosen:
        ctx.find_object(Context).json = True  # type: ignore[union-attr]


def workspace_option(command: F) -> F:
    """Let ``--workspace`` say where the command works."""
    return click.option(
        "--workspace",
        default="default",
        show_default=True,
        metavar="NAME",
        help="In which workspace.",
    )(command)
