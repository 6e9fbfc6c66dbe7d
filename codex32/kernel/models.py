"""The rows. Times are whole microseconds since 1970 UTC, JSON is text; both databases agree.

There are no foreign keys: the hot tables are written in batches and pruned in chunks, and
``codex32 db check`` looks for orphans instead. Columns are described where they are not plain.
"""

from __future__ import annotations

import peewee as pw

from codex32.kernel.account_rows import ACCOUNT_ROWS
from codex32.kernel.alert_rows import ALERT_ROWS
from codex32.kernel.building_rows import BUILDING_ROWS
from codex32.kernel.metric_rows import METRIC_ROWS
from codex32.kernel.outbound_rows import OUTBOUND_ROWS
from codex32.kernel.retrieval_rows import RETRIEVAL_ROWS
from codex32.kernel.row import Row, database_proxy
from codex32.kernel.safe_rows import SAFE_ROWS
from codex32.kernel.spending_rows import SPENDING_ROWS
from codex32.kernel.waiting_rows import WAITING_ROWS
from codex32.kernel.watching_rows import WATCHING_ROWS

__all__ = ["NO_ITEM", "ROWS", "Row", "database_proxy"]

#: ``StepRow.item`` of a step without ``foreach``; its rows of items count from 0.
NO_ITEM = -1


class BotRow(Row):
    """A bot: its name, where it comes from, which version is live."""

    id = pw.TextField(primary_key=True)
    workspace = pw.TextField()
    name = pw.TextField()
    #: Of the live version, so that lists need not read definitions; labels are canonical JSON.
    description = pw.TextField(default="")
    labels = pw.TextField(default="{}")
    #: Whose it is: who made it through the API, or whom a former installation named.
    owner = pw.TextField(default="")
    #: ``file``, ``api``, ``builder`` or ``run`` (made by ``codex32 run FILE``).
    origin = pw.TextField()
    #: The file a file-owned bot is read from.
    source = pw.TextField(null=True)
    #: ``enabled`` of the definition, and whether the file is still there.
    enabled = pw.BooleanField(default=True)
    paused = pw.BooleanField(default=False)
    #: Of the live version: it holds alerts, and nothing to execute.
    alerts_only = pw.BooleanField(default=False)
    active_version_id = pw.TextField(null=True)
    #: The version that waits for approval; the live one stays until it is approved.
    pending_version_id = pw.TextField(null=True)
    #: A rollback holds until the file's digest is no longer this one.
    pinned_digest = pw.TextField(null=True)
    #: Faults of the file as JSON, while it is broken.
    problems = pw.TextField(null=True)
    created_at = pw.BigIntegerField()
    updated_at = pw.BigIntegerField()
    removed_at = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "bot"
        indexes = (
            (("workspace", "name"), True),
            (("workspace", "updated_at", "name"), False),
            (("workspace", "created_at", "name"), False),
        )


class VersionRow(Row):
    """One immutable state of a bot's definition."""

    id = pw.TextField(primary_key=True)
    bot_id = pw.TextField()
    number = pw.IntegerField()
    #: SHA-256 of the document's canonical JSON.
    digest = pw.TextField()
    document = pw.TextField()
    #: The text as it was written.
    text = pw.TextField()
    origin = pw.TextField()
    source = pw.TextField(null=True)
    #: Who wrote it, and what they said about it; empty for files.
    author = pw.TextField(default="")
    message = pw.TextField(default="")
    #: pytest for its Python; None, or empty, where none came with it: a file's lies beside it.
    python_tests = pw.TextField(null=True)
    #: What it may beyond the version before, as a JSON list; None where nobody had to approve.
    widens = pw.TextField(null=True)
    approved_by = pw.TextField(null=True)
    approved_at = pw.BigIntegerField(null=True)
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "bot_version"
        indexes = ((("bot_id", "number"), True),)


class ProvenanceRow(Row):
    """Where a definition, or a piece of code in one, was first seen; its digest tells it."""

    workspace = pw.TextField()
    #: SHA-256 of a definition's canonical JSON, or of a piece of code.
    digest = pw.TextField()
    origin = pw.TextField()
    source = pw.TextField(null=True)
    version_id = pw.TextField()
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "provenance"
        primary_key = pw.CompositeKey("workspace", "digest")


class TriggerRow(Row):
    """A trigger of a bot's live version. ``next_at`` survives restarts and unrelated edits."""

    id = pw.TextField(primary_key=True)
    bot_id = pw.TextField()
    #: Digest of kind, config and time zone: the same rule keeps its row over versions.
    key = pw.TextField()
    kind = pw.TextField()
    #: The whole trigger of the definition, as JSON.
    definition = pw.TextField()
    enabled = pw.BooleanField(default=True)
    next_at = pw.BigIntegerField(null=True)
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "trigger"
        indexes = ((("bot_id", "key"), True),)


class OccurrenceRow(Row):
    """One evaluation of a trigger: fired, or not and why."""

    id = pw.TextField(primary_key=True)
    trigger_id = pw.TextField()
    bot_id = pw.TextField()
    #: Unique in its trigger: any number of schedulers answers an occurrence once.
    key = pw.TextField()
    scheduled_at = pw.BigIntegerField()
    evaluated_at = pw.BigIntegerField()
    #: ``fired``, or why not: ``paused overlap missed deduplicated concurrency invalid no-match
    #: depth``.
    decision = pw.TextField()
    detail = pw.TextField(default="")
    execution_id = pw.TextField(null=True)

    class Meta:
        table_name = "occurrence"
        indexes = ((("trigger_id", "key"), True), (("bot_id", "evaluated_at"), False))


class ExecutionRow(Row):
    """One request to run one bot with given inputs."""

    id = pw.TextField(primary_key=True)
    workspace = pw.TextField()
    bot_id = pw.TextField()
    bot_name = pw.TextField()
    version_id = pw.TextField()
    version_number = pw.IntegerField()
    status = pw.TextField()
    cause = pw.TextField(null=True)
    message = pw.TextField(default="")
    inputs = pw.TextField()
    #: ``{"kind", "at", …}``: what the expressions see as ``trigger``.
    trigger = pw.TextField()
    trigger_kind = pw.TextField()
    trigger_id = pw.TextField(null=True)
    #: The execution whose step started this one, and that step.
    parent_id = pw.TextField(null=True)
    depth = pw.IntegerField(default=0)
    idempotency_key = pw.TextField(null=True)
    #: SHA-256 of what was asked for under the key, where it is a caller's.
    request_digest = pw.TextField(null=True)
    priority = pw.IntegerField(default=0)
    #: Of those that are queued with the same priority, the lowest runs next (``engine.turns``).
    turn = pw.BigIntegerField(default=0)
    #: When it may run next; None while only a token, a gate or a person can wake it.
    ready_at = pw.BigIntegerField(null=True)
    #: What limits it: executions of one gate run at most ``gate_limit`` at a time.
    gate = pw.TextField(null=True)
    gate_limit = pw.IntegerField(null=True)
    #: Whether the gate has let it in; it stays in until it ends. Until then ``ready_at`` is None.
    admitted = pw.BooleanField(default=True)
    attempt = pw.IntegerField(default=0)
    worker = pw.TextField(null=True)
    lease_at = pw.BigIntegerField(null=True)
    cancel_at = pw.BigIntegerField(null=True)
    #: Microseconds that ended attempts took, held against the bot's timeout.
    active_micros = pw.BigIntegerField(default=0)
    #: When its bot's ``rate`` lets it start; None where it has not asked, or has begun.
    rate_at = pw.BigIntegerField(null=True)
    #: ``{"status", "cause", "message", "step"}`` once only ``on_failure`` and ``finally`` remain.
    closing = pw.TextField(null=True)
    created_at = pw.BigIntegerField()
    started_at = pw.BigIntegerField(null=True)
    #: When the present attempt began.
    attempt_at = pw.BigIntegerField(null=True)
    finished_at = pw.BigIntegerField(null=True)
    output = pw.TextField(null=True)
    #: The ended execution that this one does again.
    retry_of = pw.TextField(null=True)
    #: Of a retry: ``{"origin", "keys"}``, as ``codex32.engine.records.keeping.Lineage`` tells.
    lineage = pw.TextField(null=True)
    #: The W3C trace context of what asked for it; None where that was within no trace.
    traceparent = pw.TextField(null=True)
    #: Of a failed one that somebody looked after: ``{"as", "at", "by", "note"}``.
    settled = pw.TextField(null=True)
    #: Of a failed one: ``{"trouble", "remedy", "step", "item", "file", "line"}``.
    diagnosis = pw.TextField(null=True)

    class Meta:
        table_name = "execution"


class AttemptRow(Row):
    """One try of an execution by one worker, written when it ends."""

    execution_id = pw.TextField()
    number = pw.IntegerField()
    worker = pw.TextField()
    started_at = pw.BigIntegerField()
    ended_at = pw.BigIntegerField()
    #: A final status, ``waiting``, ``released`` (given back at a stop) or ``lost``.
    outcome = pw.TextField()

    class Meta:
        table_name = "attempt"
        primary_key = pw.CompositeKey("execution_id", "number")


class StepRow(Row):
    """A step of an execution, or one item of it. It is the effect ledger, too."""

    execution_id = pw.TextField()
    step = pw.TextField()
    item = pw.IntegerField(default=NO_ITEM)
    status = pw.TextField()
    #: Tries made so far.
    tries = pw.IntegerField(default=0)
    input = pw.TextField(null=True)
    output = pw.TextField(null=True)
    #: ``{"message", "code", …}``
    error = pw.TextField(null=True)
    #: ``none idempotent once``; a ``running`` row of ``once`` whose worker is gone is unknown.
    effect = pw.TextField(default="none")
    #: What the engine must remember of it: ``{"wait": …}``, ``{"retry_at": …}``, ``{"ended": …}``.
    note = pw.TextField(null=True)
    #: Name of the sandbox that kept its last program in; None where it ran none.
    sandbox = pw.TextField(null=True)
    started_at = pw.BigIntegerField(null=True)
    finished_at = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "step"
        primary_key = pw.CompositeKey("execution_id", "step", "item")


class ApprovalRow(Row):
    """What a step asked people, and what was decided."""

    id = pw.TextField(primary_key=True)
    workspace = pw.TextField()
    execution_id = pw.TextField()
    bot_name = pw.TextField()
    step = pw.TextField()
    item = pw.IntegerField(default=NO_ITEM)
    #: ``pending approved rejected expired cancelled``; only the first ever changes.
    status = pw.TextField()
    #: ``{"text", "to", "form", "on_expire"}``; ``form`` is one JSON Schema, or null.
    request = pw.TextField()
    created_at = pw.BigIntegerField()
    expires_at = pw.BigIntegerField(null=True)
    decided_at = pw.BigIntegerField(null=True)
    decided_by = pw.TextField(null=True)
    #: ``{"form", "note"}`` of whoever decided.
    answer = pw.TextField(null=True)

    class Meta:
        table_name = "approval"
        indexes = ((("execution_id", "step", "item"), False),)


class LogLineRow(Row):
    """A line a step, or the engine, had to say."""

    id = pw.BigAutoField()
    execution_id = pw.TextField()
    step = pw.TextField(default="")
    item = pw.IntegerField(default=NO_ITEM)
    at = pw.BigIntegerField()
    level = pw.TextField()
    message = pw.TextField()
    fields = pw.TextField(null=True)

    class Meta:
        table_name = "log_line"
        indexes = ((("execution_id", "id"), False),)


class StateRow(Row):
    """An entry of the small JSON store a bot keeps between executions."""

    bot_id = pw.TextField()
    key = pw.TextField()
    value = pw.TextField()
    updated_at = pw.BigIntegerField()

    class Meta:
        table_name = "state"
        primary_key = pw.CompositeKey("bot_id", "key")


class SeenRow(Row):
    """A key that a ``dedupe`` step has passed on."""

    bot_id = pw.TextField()
    step = pw.TextField()
    #: SHA-256 of the key.
    digest = pw.TextField()
    #: The execution that saw it first, so that a repeated step gets the same answer.
    owner = pw.TextField()
    seen_at = pw.BigIntegerField()
    expires_at = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "seen"
        primary_key = pw.CompositeKey("bot_id", "step", "digest")


class RateRow(Row):
    """What is left of a rate limit that bots share, or that one has for itself."""

    #: The workspace, and then ``:key:TEXT``, ``:bot:NAME``, ``:step:NAME.ID`` or, of a notifier,
    #: ``:target:NAME`` and a digest of the target.
    key = pw.TextField(primary_key=True)
    #: The rule of whoever asked last: starts, in microseconds.
    rule_limit = pw.IntegerField()
    rule_micros = pw.BigIntegerField()
    #: ``codex32.engine.records.slots.Slots`` as JSON.
    slots = pw.TextField()
    asked_at = pw.BigIntegerField()
    #: From when on the row says nothing any more.
    free_at = pw.BigIntegerField()

    class Meta:
        table_name = "rate_limit"


class EventRow(Row):
    """An event that somebody may answer: written with what it tells of, delivered afterwards."""

    #: Counts up as events are written; in the order of commits but for those that overlap.
    seq = pw.BigAutoField()
    id = pw.TextField(unique=True)
    workspace = pw.TextField()
    name = pw.TextField()
    at = pw.BigIntegerField()
    data = pw.TextField()
    #: The bots whose doings led to it, as a JSON list, oldest first.
    chain = pw.TextField()
    #: Unique in the workspace: what is published under it again is not a new event.
    key = pw.TextField(null=True)
    #: Who published it, as ``Caller.told`` has it, in JSON; None where a bot or the house did.
    published_by = pw.TextField(null=True)
    delivered_at = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "event"


class SubscriptionRow(Row):
    """A step that waits for an event, and the event once it came."""

    execution_id = pw.TextField()
    step = pw.TextField()
    item = pw.IntegerField(default=NO_ITEM)
    workspace = pw.TextField()
    pattern = pw.TextField()
    #: Bare CEL over ``event`` and ``values``.
    condition = pw.TextField(null=True)
    #: What the condition sees as ``values``, as JSON.
    given = pw.TextField()
    #: Ids of events that were there already and not delivered, as a JSON list.
    earlier = pw.TextField()
    created_at = pw.BigIntegerField()
    #: The event as JSON.
    answer = pw.TextField(null=True)

    class Meta:
        table_name = "subscription"
        primary_key = pw.CompositeKey("execution_id", "step", "item")


class WebhookPathRow(Row):
    """An address that a live trigger wants to serve; of several that want one, the oldest does."""

    trigger_id = pw.TextField(primary_key=True)
    bot_id = pw.TextField()
    workspace = pw.TextField()
    path = pw.TextField()
    #: Such as ``GET POST``.
    methods = pw.TextField()
    since = pw.BigIntegerField()

    class Meta:
        table_name = "webhook_path"


ROWS: tuple[type[Row], ...] = (
    BotRow,
    VersionRow,
    ProvenanceRow,
    TriggerRow,
    OccurrenceRow,
    ExecutionRow,
    AttemptRow,
    StepRow,
    ApprovalRow,
    LogLineRow,
    StateRow,
    SeenRow,
    RateRow,
    EventRow,
    SubscriptionRow,
    *WAITING_ROWS,
    *WATCHING_ROWS,
    WebhookPathRow,
    *METRIC_ROWS,
    *ALERT_ROWS,
    *ACCOUNT_ROWS,
    *SAFE_ROWS,
    *OUTBOUND_ROWS,
    *RETRIEVAL_ROWS,
    *SPENDING_ROWS,
    *BUILDING_ROWS,
)
