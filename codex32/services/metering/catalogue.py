"""The metrics: names, labels, units. Labels have few values: bot types, never bots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codex32.kernel.database import MAX_GROUP

#: Upper bounds in seconds: from a step of a millisecond to a day in which people were asked.
SECONDS = (
    *(0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0),
    *(3600.0, 14400.0, 86400.0),
)
#: Upper bounds of how many share something: powers of two, as the door tells them.
POWERS = tuple(float(1 << power) for power in range(MAX_GROUP.bit_length()))
_MICRO, _NANO = 10**6, 10**9


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
      name: Without the prefix ``codex32_`` and, of a counter, without ``_total``.
      labels: Names of its labels, in the order of their values.
      buckets: Of a histogram, upper bounds; none makes it a counter or a gauge.
      scale: How many of what is added up make one of its unit, in a counter and in the sum of a
        histogram.
    """

    name: str
    help: str
    labels: Sequence[str] = ()
    buckets: Sequence[float] = ()
    scale: int = 1


EXECUTIONS_ASKED = Metric("executions_asked", "Executions asked for, by trigger.", ("trigger",))
EXECUTIONS = Metric("executions", "Executions that ended.", ("status", "cause", "bot_type"))
EXECUTION_SECONDS = Metric(
    "execution_seconds", "From the first attempt to the end.", ("status",), SECONDS, _MICRO
)
EXECUTION_WAIT = Metric(
    "execution_wait_seconds", "From the wish to the first attempt.", (), SECONDS, _MICRO
)
ATTEMPTS = Metric("attempts", "Attempts that ended.", ("outcome",))
STEPS = Metric("steps", "Steps, and items of a foreach, that ended.", ("type", "status"))
STEP_SECONDS = Metric("step_seconds", "How long steps took.", ("type",), SECONDS, _MICRO)
TRIGGERS = Metric("triggers", "Triggers evaluated: fired, or why not.", ("decision",))
LATENESS = Metric("trigger_lateness_seconds", "How late times were answered.", (), SECONDS, _MICRO)
APPROVALS = Metric("approvals", "Approvals settled.", ("decision",))
NOTIFICATIONS = Metric("notifications", "Notifications taken.", ("notifier",))
NOTIFICATION_FAILURES = Metric(
    "notification_failures", "Tries at which a notifier took nothing.", ("notifier",)
)
PROGRAMS = Metric("programs", "Programs in sandboxes, by how they ended.", ("sandbox", "outcome"))
WORKERS_LOST = Metric("workers_lost", "Workers that held executions and fell silent.")
PLUGINS_FAILED = Metric("plugin_failures", "Starts at which a plugin was left out.", ("plugin",))
MODEL_REQUESTS = Metric(
    "model_requests",
    "Requests to models, by how they ended.",
    ("provider", "outcome"),
)
MODEL_TOKENS = Metric("model_tokens", "Tokens that services booked.", ("provider", "kind"))
SOCKETS_REFUSED = Metric(
    "api_sockets_refused",
    "Connections to the API that were turned away, by who had too many.",
    ("by",),
)
MODEL_COST = Metric("model_cost_usd", "What requests cost.", ("provider",), scale=_NANO)
COMMIT_WRITES = Metric("database_commit_writes", "Writes that shared a commit.", (), POWERS)
READ_WAITS = Metric("database_read_waits", "Reads that found all threads busy.")
READ_WAIT_SECONDS = Metric(
    "database_read_wait_seconds", "How long those waited, all together.", scale=_MICRO
)

#: What is added up.
COUNTED: Mapping[str, Metric] = {
    each.name: each
    for each in (
        EXECUTIONS_ASKED,
        EXECUTIONS,
        EXECUTION_SECONDS,
        EXECUTION_WAIT,
        ATTEMPTS,
        STEPS,
        STEP_SECONDS,
        TRIGGERS,
        LATENESS,
        APPROVALS,
        NOTIFICATIONS,
        NOTIFICATION_FAILURES,
        PROGRAMS,
        WORKERS_LOST,
        PLUGINS_FAILED,
        MODEL_REQUESTS,
        MODEL_TOKENS,
        MODEL_COST,
        SOCKETS_REFUSED,
        COMMIT_WRITES,
        READ_WAITS,
        READ_WAIT_SECONDS,
    )
}

BUILD = Metric("build_info", "1, and the version of the API that tells this.", ("version",))
OPEN = Metric("executions_open", "Executions that have not ended.", ("status",))
OLDEST = Metric("queue_oldest_seconds", "For how long the oldest queued one has waited.")
DEAD_LETTERS = Metric("dead_letters", "Failures that nobody retried or dismissed.")
APPROVALS_OPEN = Metric("approvals_open", "Approvals that people have not settled.")
SCHEDULE_BEHIND = Metric("schedule_behind_seconds", "How long the most overdue time has waited.")
PROCESSES = Metric("processes", "Processes heard of lately.", ("kind",))
BOTS = Metric("bots", "Bots, by whether they can be started.", ("state",))
DELIVERIES = Metric("webhook_deliveries_open", "Deliveries to outbound webhooks still owed.")
POOL_SIZE = Metric("pool_size", "Threads or connections of a pool.", ("kind", "pool"))
POOL_IN_USE = Metric("pool_in_use", "Those of them that are at work.", ("kind", "pool"))
POOL_WAITING = Metric("pool_waiting", "What waits for one of them.", ("kind", "pool"))
BREAKERS = Metric(
    "breakers", "Models that are left alone, or were until one asks.", ("provider", "state")
)

#: What is looked up when somebody asks.
LOOKED_UP = (
    BUILD,
    OPEN,
    OLDEST,
    DEAD_LETTERS,
    APPROVALS_OPEN,
    SCHEDULE_BEHIND,
    PROCESSES,
    BOTS,
    DELIVERIES,
    POOL_SIZE,
    POOL_IN_USE,
    POOL_WAITING,
    BREAKERS,
)
