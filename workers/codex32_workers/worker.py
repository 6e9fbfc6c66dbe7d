"""A worker process: a Dramatiq worker whose actor runs executions."""

from __future__ import annotations

import logging
import signal
import threading

import dramatiq

from codex32.outside.settling import settle_memory
from codex32.runtime import Runtime
from codex32_workers import actors
from codex32_workers.broker import EngineMiddleware, TicketBroker
from codex32_workers.engine_thread import EngineThread

log = logging.getLogger(__name__)


def make_broker(runtime: Runtime) -> TicketBroker:
    """The broker of this process, with its actor and its engine, set as Dramatiq's own."""
    settings = runtime.settings
    broker = TicketBroker(settings.redis_url, [])
    broker.engine = EngineThread(runtime, broker.room.tell)
    broker.add_middleware(EngineMiddleware(broker.engine, settings.worker.stop_grace_seconds))
    actors.declare(broker)
    dramatiq.set_broker(broker)
    return broker


def run_worker(runtime: Runtime) -> None:
    """Work until SIGTERM or SIGINT, then give everything back and return."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    broker = make_broker(runtime)
    settle_memory()
    worker = dramatiq.Worker(broker, worker_threads=runtime.settings.worker.threads)
    worker.start()
    log.info("worker %s is ready", runtime.process.id)
    stop.wait()
    worker.stop()
    broker.close()
