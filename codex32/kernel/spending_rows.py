"""The rows of what models cost, and of what was bought. Money is whole nano-USD."""

from __future__ import annotations

import peewee as pw

from codex32.kernel.row import Row


class ModelAttemptRow(Row):
    """One request to a service, made or about to be made; failed ones, too."""

    id = pw.TextField(primary_key=True)
    workspace = pw.TextField()
    #: Empty where no bot asked.
    bot_id = pw.TextField(default="")
    bot = pw.TextField(default="")
    execution_id = pw.TextField(default="")
    step = pw.TextField(default="")
    item = pw.IntegerField(default=-1)
    #: What it is for where no bot asked.
    purpose = pw.TextField(default="")
    #: ``provider:model`` as it was asked for, and what answered, as the service names it.
    model = pw.TextField()
    answered_by = pw.TextField(default="")
    #: ``reserved``, ``settled`` (the service said what it cost), ``assumed`` (it did not, and
    #: ``cost_nano`` is what was reserved) or ``released`` (it costs nothing).
    state = pw.TextField()
    #: The budgets in which it was reserved, as a JSON list of their keys.
    budgets = pw.TextField()
    reserved_nano = pw.BigIntegerField()
    cost_nano = pw.BigIntegerField(default=0)
    input_tokens = pw.BigIntegerField(default=0)
    output_tokens = pw.BigIntegerField(default=0)
    cached_tokens = pw.BigIntegerField(default=0)
    cache_write_tokens = pw.BigIntegerField(default=0)
    reasoning_tokens = pw.BigIntegerField(default=0)
    #: How it failed, as ``ModelFault.kind``.
    fault = pw.TextField(null=True)
    request_id = pw.TextField(default="")
    #: The day it began, in the zone of the settings.
    day = pw.TextField()
    started_at = pw.BigIntegerField()
    ended_at = pw.BigIntegerField(null=True)
    #: While it is reserved: when whoever made it must have died.
    lease_until = pw.BigIntegerField(null=True)

    class Meta:
        table_name = "model_attempt"
        indexes = (
            (("workspace", "day"), False),
            (("day",), False),
            (("execution_id",), False),
        )


class BudgetRow(Row):
    """What was spent, and is about to be, of one limit in one period."""

    #: Scope and period: ``house 2026-11``, ``workspace:default 2026-11-28``, ``execution:ID``.
    key = pw.TextField(primary_key=True)
    #: As it was when last looked at.
    limit_nano = pw.BigIntegerField()
    spent_nano = pw.BigIntegerField(default=0)
    reserved_nano = pw.BigIntegerField(default=0)
    #: The highest percentage that was warned of.
    warned = pw.IntegerField(default=0)
    updated_at = pw.BigIntegerField()

    class Meta:
        table_name = "budget"
        indexes = ((("updated_at",), False),)


class ModelAnswerRow(Row):
    """What a step bought, so that it need not buy it again."""

    #: SHA-256 over execution, step, item and the request.
    key = pw.TextField(primary_key=True)
    execution_id = pw.TextField()
    attempt_id = pw.TextField()
    #: A payload of the execution.
    answer = pw.TextField()
    created_at = pw.BigIntegerField()

    class Meta:
        table_name = "model_answer"
        indexes = ((("execution_id",), False),)


SPENDING_ROWS: tuple[type[Row], ...] = (ModelAttemptRow, BudgetRow, ModelAnswerRow)
