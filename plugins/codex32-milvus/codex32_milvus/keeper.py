"""The process that owns an embedded Milvus folder: ``python -m codex32_milvus.keeper FOLDER``.

Milvus Lite answers many readers, but two writers at once tear its log, and what was acknowledged
is lost without an error. So one process holds the folder, takes writes one after the other
whoever sends them, and serves all others on the loopback interface, with a token that only the
folder's owner can read. It is started by whoever needs it, and ends some seconds after the last
process that uses the folder has ended, however that ended.
"""

from __future__ import annotations

import base64
import fcntl
import hmac
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

#: Held shared by every process that uses the folder.
USERS = "users.lock"
#: Held while a keeper is started.
STARTING = "starting.lock"
#: Where the keeper listens, its token and its process id.
ADDRESS = "keeper.json"
DATA = "data"
LOG = "keeper.log"
#: How long the folder may be used by nobody.
LINGER_SECONDS = 3.0
_LARGEST_MESSAGE = 256 * 1024 * 1024
#: What changes a collection, its files or its log.
_WRITES = (
    "Insert",
    "Upsert",
    "Delete",
    "Flush",
    "CreateCollection",
    "DropCollection",
    "TruncateCollection",
    "RenameCollection",
    "AlterCollection",
    "CreateIndex",
    "DropIndex",
    "LoadCollection",
    "ReleaseCollection",
    "ManualCompaction",
)


def main(folder: Path) -> None:
    """Serve the folder until nobody uses it any more."""
    _leave_the_starter(folder)
    _serve(folder)


def _leave_the_starter(folder: Path) -> None:
    # A grandchild in a session of its own: no signal of a terminal ends it, and whoever started
    # it need not wait for it.
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, null), (1, log), (2, log)):
        os.dup2(source, target)


def _serve(folder: Path) -> None:
    import grpc
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from milvus_lite.db import MilvusLite
    from pymilvus.grpc_gen import milvus_pb2_grpc

    token = secrets.token_urlsafe(32)
    database = _open(MilvusLite, folder / DATA)
    servicer = MilvusServicer(database)
    one_at_a_time = threading.Lock()
    for name in _WRITES:
        setattr(servicer, name, _in_turn(one_at_a_time, getattr(servicer, name)))
    options = [("grpc.max_receive_message_length", _LARGEST_MESSAGE)]
    options += [("grpc.max_send_message_length", _LARGEST_MESSAGE)]
    # Clients ask every few seconds whether it is there, and an idle one would be cut off for it.
    options += [("grpc.http2.max_ping_strikes", 0), ("grpc.keepalive_permit_without_calls", 1)]
    server = grpc.server(
        ThreadPoolExecutor(max_workers=16), interceptors=[_guard(token)], options=options
    )
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    _write_address(folder, port, token)
    with open(folder / USERS, "ab") as users:
        _wait_until_unused(users.fileno())
        # From here on nobody can begin to use the folder: they wait for this lock.
        (folder / ADDRESS).unlink(missing_ok=True)
        server.stop(grace=5).wait()
        database.close()


def _open(database: Callable[[str], Any], data: Path) -> Any:
    from milvus_lite.exceptions import DataDirLockedError

    ends_at = time.monotonic() + 5
    while True:
        try:
            return database(str(data))
        except DataDirLockedError:  # by a keeper that is just ending, or by one that stays
            if time.monotonic() > ends_at:
                raise
            time.sleep(0.1)


def _in_turn(lock: threading.Lock, method: Callable[..., Any]) -> Callable[..., Any]:
    def call(request: Any, context: Any) -> Any:
        with lock:
            return method(request, context)

    return call


def _guard(token: str) -> Any:
    import grpc

    wanted = base64.b64encode(token.encode())

    def refuse(request: Any, context: Any) -> None:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "this is somebody else's folder")

    class Guard(grpc.ServerInterceptor):  # type: ignore[misc]
        def intercept_service(self, proceed: Callable[..., Any], details: Any) -> Any:
            given = dict(details.invocation_metadata).get("authorization", "")
            given = given.encode() if isinstance(given, str) else given
            if hmac.compare_digest(given, wanted):
                return proceed(details)
            return grpc.unary_unary_rpc_method_handler(refuse)

    return Guard()


def _write_address(folder: Path, port: int, token: str) -> None:
    beside = folder / f".{ADDRESS}.{os.getpid()}"
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"port": port, "token": token, "pid": os.getpid()}, file)
    beside.replace(folder / ADDRESS)


def _wait_until_unused(users: int) -> None:
    unused_since = None
    while unused_since is None or time.monotonic() - unused_since < LINGER_SECONDS:
        time.sleep(0.25)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            unused_since = None
            continue
        unused_since = unused_since or time.monotonic()
        if time.monotonic() - unused_since < LINGER_SECONDS:
            fcntl.flock(users, fcntl.LOCK_UN)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
