"""A session with PostgreSQL: on the event loop, for one transaction, to one guarded address.

psycopg2's asynchronous mode (https://www.psycopg.org/docs/advanced.html#asynchronous-support): the
driver says what its socket waits for, and the loop waits. Values are written into the statement by
the driver, escaped as the server's settings ask for.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import math
import ssl
import struct
import termios
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from codex32 import JSON, Connection, ProviderUnauthorized, ProviderUnavailable, StepFault

USUAL_PORT = 5432
#: The code of a fault after which nobody knows what became of the last statement.
CUT = "sql-cut"
_CONNECT_SECONDS = 30.0
_STOP_SECONDS = 5.0
#: What answers hold besides rows.
_OVERHEAD = 1 << 20
#: No such file can be.
_NO_FILE = "/dev/null/none"
_OPTIONS = ("database", "user", "sslmode", "sslrootcert")
_SSL_MODES = ("disable", "require", "verify-full")
#: SQLSTATE classes (and single states) after which another try may go well.
_PASSING = ("08", "53", "57P", "40001", "40P01", "55P03", "57014")

#: How the server says that a user is not let in.
_KEPT_OUT = ("authentication", "role ", "password", "pg_hba", "permission denied")

#: Statements that are being stopped.
_STOPPING: set[asyncio.Task[None]] = set()


class Session:
    """One connection, in which one transaction is made.

    Args:
      connection: Of the driver.
      most: How many bytes its answers may hold; the driver keeps an answer in memory.
    """

    def __init__(self, connection: Any, most: int) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._most, self._left = most, 2 * most + _OVERHEAD

    async def run(self, text: str, values: Mapping[str, Any] | None = None) -> None:
        """Do one statement, or several without values.

        Raises:
          ProviderUnavailable: Another try may go well; ``CUT`` where nobody answers any more.
          StepFault: The database refuses, or answers with too much.
        """
        import psycopg2

        try:
            self._cursor.execute(text, values)
            await _until_ready(self._connection, self._arrives)
        except psycopg2.Error as error:
            raise _told(error, self._connection) from None
        except (ValueError, TypeError) as error:  # such as a text that holds NUL
            raise StepFault(f"a value cannot be sent: {error}", code="sql") from None

    def _arrives(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise too_much(self._most)

    @property
    def tag(self) -> str:
        """What the server says of the last statement: ``INSERT 0 3``."""
        return self._cursor.statusmessage or ""

    @property
    def changed(self) -> int:
        """How many rows the last statement changed."""
        written = self.tag.startswith(("INSERT", "UPDATE", "DELETE", "MERGE", "COPY"))
        return max(self._cursor.rowcount, 0) if written else 0

    def rows(self) -> list[dict[str, JSON]] | None:
        """The rows of the last statement, as JSON; None where it gives none.

        Raises:
          StepFault: Two columns have one name, or a cell cannot be JSON.
        """
        import psycopg2

        if self._cursor.description is None:
            return None
        names = [column.name for column in self._cursor.description]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            message = f"two columns are called {twice[0]}; name one of them with AS"
            raise StepFault(message, code="sql")
        try:
            return [
                {name: _as_json(value) for name, value in zip(names, row, strict=True)}
                for row in self._cursor.fetchall()
            ]
        except (psycopg2.Error, ValueError, RecursionError) as error:
            # Bytes that are no UTF-8, or JSON that is too deep or holds a number too long.
            message = f"a cell cannot be read ({error}); have it come as text: CAST(… AS text)"
            raise StepFault(message, code="sql") from None


def too_much(most: int) -> StepFault:
    """What is told of more than a step may hand on."""
    return StepFault(
        f"the rows hold more than {most} bytes; ask for less, or raise max_bytes", code="sql"
    )


@contextlib.asynccontextmanager
async def opened(connection: Connection, address: str, most: int) -> AsyncIterator[Session]:
    """A session with the database of a connection.

    A statement that is still under way when it is left is stopped on the server.

    Args:
      connection: Its options: ``database``, ``user``, ``sslmode``, ``sslrootcert``.
      address: Of its host.
      most: How many bytes its answers may hold.

    Raises:
      ProviderUnavailable: It cannot be reached.
      ProviderUnauthorized: It does not let the user in.
      StepFault: An option is wrong, or the driver is missing.
    """
    psycopg2 = _driver()
    settings = _settings(connection, address)
    made = None
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            made = psycopg2.connect(**settings)
            await _until_ready(made)
    except psycopg2.Error as error:
        if made is not None:
            made.close()
        raise _refused(error, connection) from None
    except TimeoutError:
        if made is not None:
            made.close()
        place = f"{connection.host}:{settings['port']}"
        raise ProviderUnavailable(f"{place} does not answer as a database does") from None
    try:
        if made.get_parameter_status("standard_conforming_strings") != "on":
            # The driver would go on to write values for the server as it was at first.
            user = connection.options["user"]
            remedy = f'ALTER ROLE "{user}" SET standard_conforming_strings = on'
            message = "the database reads texts in a way of long ago, which is not safe"
            raise StepFault(f"{message}; have it do: {remedy}", code="connection")
        _read_plainly(made)
        yield Session(made, most)
    finally:
        if made.isexecuting():  # the step is over; nobody waits until the server knows
            stopping = asyncio.create_task(_stop(made, settings))
            _STOPPING.add(stopping)
            stopping.add_done_callback(_STOPPING.discard)
        else:
            made.close()


def _driver() -> Any:
    try:
        import psycopg2
        import psycopg2.extras
    except ImportError:
        message = "sql needs a driver for PostgreSQL; install it: pip install 'codex32[postgres]'"
        raise StepFault(message, code="sql") from None
    return psycopg2


def _settings(connection: Connection, address: str) -> dict[str, Any]:
    """What the driver is told; nothing of this machine's own accounts goes with it."""
    options = connection.options
    for name in options:
        if name not in _OPTIONS:
            known = ", ".join(_OPTIONS)
            raise _wrong(connection, f"has no option {name!r}; there are: {known}")
    for name in ("database", "user"):
        if not isinstance(options.get(name), str):
            raise _wrong(connection, f"lacks the option {name}")
    mode = options.get("sslmode", "require")
    if mode not in _SSL_MODES:
        raise _wrong(connection, f"has sslmode {mode!r}; there are: {', '.join(_SSL_MODES)}")
    if "sslrootcert" in options and mode != "verify-full":
        raise _wrong(connection, "has an sslrootcert, which wants the option sslmode=verify-full")
    settings = {
        "async_": True,
        "host": connection.host,
        "hostaddr": address,
        "port": connection.port or USUAL_PORT,
        "dbname": options["database"],
        "user": options["user"],
        "password": connection.secrets.get("password", ""),
        "sslmode": mode,
        "application_name": "codex32",
        "client_encoding": "UTF8",
        # What the worker keeps for itself, in files and in its environment, is no bot's.
        "passfile": _NO_FILE,
        "sslcertmode": "disable",
        "sslrootcert": _NO_FILE,
        "sslcrl": _NO_FILE,
        "sslcrldir": _NO_FILE,
        "gssencmode": "disable",
        "require_auth": "!gss,!sspi",
        "channel_binding": "prefer",
        "target_session_attrs": "any",
        "options": "",
    }
    if mode == "verify-full":
        trusted = options.get("sslrootcert") or ssl.get_default_verify_paths().cafile
        settings["sslrootcert"] = trusted or "system"
    return settings


def _wrong(connection: Connection, what: str) -> StepFault:
    remedy = f"mend it with: codex32 connections set {connection.name} --option NAME=VALUE"
    return StepFault(f"the connection {connection.name} {what}; {remedy}", code="connection")


async def _until_ready(connection: Any, arrives: Callable[[int], None] | None = None) -> None:
    """Wait until what was asked of the driver is done.

    Args:
      connection: Of the driver.
      arrives: Is told how many bytes the driver is about to take in.
    """
    from psycopg2.extensions import POLL_OK, POLL_READ

    loop = asyncio.get_running_loop()
    while (state := connection.poll()) != POLL_OK:
        ready: asyncio.Future[None] = loop.create_future()
        descriptor, reading = connection.fileno(), state == POLL_READ
        wait, leave = (
            (loop.add_reader, loop.remove_reader)
            if reading
            else (loop.add_writer, loop.remove_writer)
        )
        wait(descriptor, _wake, ready)
        try:
            await ready
        finally:
            leave(descriptor)
        if arrives is not None and reading:
            held = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4)
            arrives(struct.unpack("i", held)[0])


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _stop(connection: Any, settings: Mapping[str, Any]) -> None:
    """Have the server end what a session is at; the driver's own way would hold up all threads."""
    psycopg2 = _driver()
    try:
        with contextlib.suppress(psycopg2.Error, TimeoutError):  # the server may be what is gone
            async with asyncio.timeout(_STOP_SECONDS):
                other = psycopg2.connect(**settings)
                with contextlib.closing(other):
                    await _until_ready(other)
                    stop = "SELECT pg_cancel_backend(%s)"
                    other.cursor().execute(stop, (connection.get_backend_pid(),))
                    await _until_ready(other)
    finally:
        # Until now nobody else could be given its number.
        connection.close()


# faults


def _told(error: Any, connection: Any) -> StepFault:
    state = error.pgcode or ""
    if connection.closed or state.startswith(("08", "57P")):
        return ProviderUnavailable("the connection to the database was cut", code=CUT)
    message = error.diag.message_primary or str(error).strip() or type(error).__name__
    if hint := error.diag.message_hint:
        message = f"{message} ({hint})"
    if state.startswith(_PASSING):
        return ProviderUnavailable(f"the database could not do it now: {message}")
    if state == "25006":
        message = f"{message}; a statement that changes something needs write: true"
    return StepFault(f"the database refuses: {message}", code="sql")


def _refused(error: Any, connection: Connection) -> StepFault:
    text = str(error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    message = next((line for line in text if "FATAL:  " in line), first)
    message = message.rpartition("FATAL:  ")[2].rpartition(" failed: ")[2]
    if "SSL" in message and "required" in message:
        remedy = "if the network in between is trusted, give it the option sslmode=disable"
        return StepFault(
            f"{connection.host} speaks no TLS, which is wanted; {remedy}", code="connection"
        )
    if "too many" not in message and any(word in message for word in _KEPT_OUT):
        return ProviderUnauthorized(f"the connection {connection.name} is not let in: {message}")
    if "does not exist" in message:
        return _wrong(connection, f"is wrong: {message}")
    return ProviderUnavailable(f"the connection {connection.name} cannot be made: {message}")


# values


def _read_plainly(connection: Any) -> None:
    """Have times and exact numbers come as texts: JSON has neither."""
    from psycopg2 import extensions

    def plain(value: str | None, _: Any) -> str | None:
        return value

    def moment(value: str | None, _: Any) -> str | None:
        return None if value is None else _iso(value)

    kinds = {
        "NUMBERS": ((1700,), (1231,), plain),
        "DAYS": ((1082, 1083, 1266, 1186), (1182, 1183, 1270, 1187), plain),
        "MOMENTS": ((1114, 1184), (1115, 1185), moment),
    }
    for name, (single, many, read) in kinds.items():
        one = extensions.new_type(single, name, read)
        extensions.register_type(one, connection)
        extensions.register_type(extensions.new_array_type(many, f"{name}_", one), connection)


def _iso(text: str) -> str:
    """A time as ISO 8601: ``2026-01-31T12:00:00+00:00``."""
    if text in ("infinity", "-infinity") or text.endswith("BC"):
        return text
    day, _, time = text.partition(" ")
    return f"{day}T{time}:00" if time[-3:-2] in ("+", "-") else f"{day}T{time}"


def _as_json(value: Any) -> JSON:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, memoryview | bytes):
        import base64

        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, list | tuple):
        return [_as_json(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _as_json(each) for key, each in value.items()}
    return str(value)


def sendable(value: JSON) -> Any:
    """A value as the driver writes it: objects, and lists that hold any, as JSON."""
    from psycopg2.extensions import AsIs
    from psycopg2.extras import Json

    nested = isinstance(value, Sequence) and not isinstance(value, str)
    if isinstance(value, Mapping):
        return Json(value)
    if nested:
        if not value:
            # Of whatever type the column or the operator is; but for JSON this is no space, and
            # an empty list does not become an empty object there.
            return "\f{}"
        if any(isinstance(each, Mapping | list) for each in value):
            return Json(value)
        return list(value)
    if isinstance(value, int | float) and value < 0:
        return AsIs(f"({value!r})")  # else a cast behind it would come before the sign
    return value
