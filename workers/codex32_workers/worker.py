"""A worker process: a Dramatiq worker whose actor runs executions."""

from __future__ import annotations

import logging
import time

import dramatiq
from dramatiq.worker import ConsumerThread, WorkerThread

from codex32.outside.settling import settle_memory
from codex32.outside.stopping import STOP_SECONDS, end_within, heed_signals, wait_for
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
    told = heed_signals()
    broker = make_broker(runtime)
    settle_memory()
    settings = runtime.settings.worker
    worker = dramatiq.Worker(broker, worker_threads=settings.threads)
    worker.start()
    log.info("worker %s is ready", runtime.process.id)
    wait_for(told)
    end_within(settings.stop_grace_seconds + STOP_SECONDS)
    _await_threads(worker)
    worker.stop()
    broker.close()


def _await_threads(worker: dramatiq.Worker) -> None:
    """Wait until its threads run: one that is told to stop before forgets it, and never does."""
    threads: list[WorkerThread | ConsumerThread] = [*worker.workers, *worker.consumers.values()]
    for thread in threads:
        while not thread.running:
            time.sleep(0.001)
