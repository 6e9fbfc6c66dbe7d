"""The face of Codex-32 for those who write plugins: all they may use, and nothing else.

A plugin is a distribution with an entry point in the group ``codex32`` that names a module with
hook implementations::

    from codex32 import BotType, StepContext, Succeeded, hookimpl

    class Shout(BotType):
        name = "shout"
        params_schema = {"type": "object", "properties": {"text": {"type": "string"}}}

        async def run(self, context: StepContext, params):
            return Succeeded(params["text"].upper())

    @hookimpl
    def register_bot_types(config):
        yield Shout()
"""

from codex32.kernel.blocking_store import BlockingVectorStore, Shape
from codex32.kernel.bot import Allow, Bot, Concurrency, Rate, Retry, Step, Trigger
from codex32.kernel.caller import Caller
from codex32.kernel.clock import Clock, ManualClock, SystemClock
from codex32.kernel.contracts.bot_type import BotType, StepContext
from codex32.kernel.contracts.dispatcher import Dispatcher
from codex32.kernel.contracts.embedder import Embedded, Embedder, EmbeddingPurpose, Vector
from codex32.kernel.contracts.http import HttpClient, HttpRequest, HttpResponse
from codex32.kernel.contracts.llm import (
    CAPABILITIES,
    Completion,
    CompletionEvent,
    CompletionRequest,
    Finished,
    Image,
    LLMProvider,
    ModelInfo,
    ModelMessage,
    TextDelta,
    Tool,
    ToolCall,
    Usage,
)
from codex32.kernel.contracts.migration import MigrationSource
from codex32.kernel.contracts.notifier import Notification, Notifier, Receipt
from codex32.kernel.contracts.program import (
    FileGrant,
    Program,
    ProgramHost,
    ProgramResult,
    ProgramRunner,
)
from codex32.kernel.contracts.route import (
    PUBLIC,
    ApiRequest,
    ApiResponse,
    EventStream,
    Route,
    ServerSentEvent,
)
from codex32.kernel.contracts.sandbox import SandboxBackend, SandboxLevel
from codex32.kernel.contracts.secret_store import SecretStore
from codex32.kernel.contracts.source import Batch, Connect, News, Source
from codex32.kernel.contracts.trigger_type import TriggerType, WatchedFiles
from codex32.kernel.contracts.vector_store import (
    IdPage,
    Match,
    Metric,
    VectorRecord,
    VectorStore,
)
from codex32.kernel.contracts.webhook import (
    LARGEST_BODY,
    Webhook,
    WebhookRefused,
    WebhookRequest,
    WebhookScheme,
)
from codex32.kernel.errors import (
    AccessDenied,
    BotInvalid,
    BotNotFound,
    CapabilityRefused,
    Codex32Error,
    ConnectionNotFound,
    EffectUnknown,
    EventInvalid,
    ExecutionNotFound,
    ExpressionFault,
    InputsInvalid,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnauthorized,
    ProviderUnavailable,
    SecretNotFound,
    StepFault,
    TriggerInvalid,
)
from codex32.kernel.event_names import name_fault as event_name_fault
from codex32.kernel.event_names import pattern_fault as event_pattern_fault
from codex32.kernel.events import (
    ApprovalDecided,
    ApprovalRequested,
    AttemptFinished,
    AttemptStarted,
    BotChanged,
    BotFailed,
    BotRecovered,
    BudgetExhausted,
    BudgetWarned,
    Event,
    EventPublished,
    ExecutionEvent,
    ExecutionFinished,
    ExecutionQueued,
    NotificationSent,
    PluginFailed,
    SchemaUpgraded,
    StepFinished,
    TriggerFired,
    WorkerLost,
)
from codex32.kernel.hookspecs import ProcessInfo, RetryDecision, StepCall
from codex32.kernel.json_values import JSON
from codex32.kernel.markers import hookimpl
from codex32.kernel.model_errors import BudgetExceeded, FaultKind, ModelFault, PriceUnknown
from codex32.kernel.model_wires import (
    ClientPerLoop,
    in_time,
    model_refusal,
    token_count,
    unit_vector,
    unkeyed,
)
from codex32.kernel.outcomes import (
    ApprovalRequest,
    Effect,
    Ended,
    EventAwaited,
    Failed,
    Outcome,
    Publication,
    Skipped,
    Succeeded,
    Waiting,
)
from codex32.kernel.problems import Problem
from codex32.kernel.sending import refusal, retry_after_seconds, send_once
from codex32.kernel.statuses import Cause, Status, StepStatus
from codex32.kernel.text import did_you_mean, format_duration, parse_duration, parse_size
from codex32.kernel.vector_checks import (
    check_collection,
    check_id,
    check_limit,
    check_query,
    check_records,
)
from codex32.kernel.vector_errors import (
    CollectionNotFound,
    DimensionMismatch,
    FilterInvalid,
    MetricMismatch,
    RecordInvalid,
)
from codex32.kernel.vector_filters import (
    AllOf,
    AnyOf,
    Between,
    Equals,
    Filter,
    Not,
    OneOf,
    fact,
    facts,
    holds,
    numbers,
    read_filter,
)
from codex32.kernel.views import (
    Connection,
    ExecutionInfo,
    ExecutionRef,
    Occurrence,
    StepInfo,
    Waited,
)

__all__ = [
    "CAPABILITIES",
    "JSON",
    "LARGEST_BODY",
    "PUBLIC",
    "AccessDenied",
    "AllOf",
    "Allow",
    "AnyOf",
    "ApiRequest",
    "ApiResponse",
    "ApprovalDecided",
    "ApprovalRequest",
    "ApprovalRequested",
    "AttemptFinished",
    "AttemptStarted",
    "Batch",
    "Between",
    "BlockingVectorStore",
    "Bot",
    "BotChanged",
    "BotFailed",
    "BotInvalid",
    "BotNotFound",
    "BotRecovered",
    "BotType",
    "BudgetExceeded",
    "BudgetExhausted",
    "BudgetWarned",
    "Caller",
    "CapabilityRefused",
    "Cause",
    "ClientPerLoop",
    "Clock",
    "Codex32Error",
    "CollectionNotFound",
    "Completion",
    "CompletionEvent",
    "CompletionRequest",
    "Concurrency",
    "Connect",
    "Connection",
    "ConnectionNotFound",
    "DimensionMismatch",
    "Dispatcher",
    "Effect",
    "EffectUnknown",
    "Embedded",
    "Embedder",
    "EmbeddingPurpose",
    "Ended",
    "Equals",
    "Event",
    "EventAwaited",
    "EventInvalid",
    "EventPublished",
    "EventStream",
    "ExecutionEvent",
    "ExecutionFinished",
    "ExecutionInfo",
    "ExecutionNotFound",
    "ExecutionQueued",
    "ExecutionRef",
    "ExpressionFault",
    "Failed",
    "FaultKind",
    "FileGrant",
    "Filter",
    "FilterInvalid",
    "Finished",
    "HttpClient",
    "HttpRequest",
    "HttpResponse",
    "IdPage",
    "Image",
    "InputsInvalid",
    "LLMProvider",
    "ManualClock",
    "Match",
    "Metric",
    "MetricMismatch",
    "MigrationSource",
    "ModelFault",
    "ModelInfo",
    "ModelMessage",
    "News",
    "Not",
    "Notification",
    "NotificationSent",
    "Notifier",
    "Occurrence",
    "OneOf",
    "Outcome",
    "PluginFailed",
    "PriceUnknown",
    "Problem",
    "ProcessInfo",
    "Program",
    "ProgramHost",
    "ProgramResult",
    "ProgramRunner",
    "ProviderError",
    "ProviderRateLimited",
    "ProviderRejected",
    "ProviderUnauthorized",
    "ProviderUnavailable",
    "Publication",
    "Rate",
    "Receipt",
    "RecordInvalid",
    "Retry",
    "RetryDecision",
    "Route",
    "SandboxBackend",
    "SandboxLevel",
    "SchemaUpgraded",
    "SecretNotFound",
    "SecretStore",
    "ServerSentEvent",
    "Shape",
    "Skipped",
    "Source",
    "Status",
    "Step",
    "StepCall",
    "StepContext",
    "StepFault",
    "StepFinished",
    "StepInfo",
    "StepStatus",
    "Succeeded",
    "SystemClock",
    "TextDelta",
    "Tool",
    "ToolCall",
    "Trigger",
    "TriggerFired",
    "TriggerInvalid",
    "TriggerType",
    "Usage",
    "Vector",
    "VectorRecord",
    "VectorStore",
    "Waited",
    "Waiting",
    "WatchedFiles",
    "Webhook",
    "WebhookRefused",
    "WebhookRequest",
    "WebhookScheme",
    "WorkerLost",
    "check_collection",
    "check_id",
    "check_limit",
    "check_query",
    "check_records",
    "did_you_mean",
    "event_name_fault",
    "event_pattern_fault",
    "fact",
    "facts",
    "format_duration",
    "holds",
    "hookimpl",
    "in_time",
    "model_refusal",
    "numbers",
    "parse_duration",
    "parse_size",
    "read_filter",
    "refusal",
    "retry_after_seconds",
    "send_once",
    "token_count",
    "unit_vector",
    "unkeyed",
]
