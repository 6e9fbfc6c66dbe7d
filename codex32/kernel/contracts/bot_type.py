"""Doing one kind of step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from codex32.kernel.bot import Allow
from codex32.kernel.contracts.collections import Collections
from codex32.kernel.contracts.embedder import EmbeddingPurpose, Vector
from codex32.kernel.contracts.http import HttpClient
from codex32.kernel.contracts.llm import Completion, CompletionRequest, Tool
from codex32.kernel.contracts.mcp import McpServers
from codex32.kernel.contracts.notifier import Notification, Receipt
from codex32.kernel.contracts.program import Program, ProgramResult
from codex32.kernel.contracts.tools import Offer, ToolResult
from codex32.kernel.json_values import JSON
from codex32.kernel.outcomes import Effect, Outcome, Waiting
from codex32.kernel.problems import Problem
from codex32.kernel.views import (
    BotCard,
    Connection,
    ExecutionInfo,
    ExecutionRef,
    Gathered,
    StepInfo,
    Waited,
)


class StepContext(ABC):
    """What a step may do. The engine implements it; bot types never build one."""

    execution: ExecutionInfo
    step: StepInfo
    #: When this try is stopped (aware UTC), and in how many seconds.
    deadline_at: datetime
    seconds_left: float
    #: Speaks to the hosts named in ``allow.hosts``.
    http: HttpClient
    #: Documents of the workspace: indexed, searched, quoted.
    collections: Collections
    #: Tools of MCP servers that the settings name, and ``allow.mcp``.
    mcp: McpServers
    #: The bot's state as it was when the step began.
    state: Mapping[str, JSON]
    #: Set when the step returned ``Waiting`` before; None on a first call.
    waited: Waited | None

    @abstractmethod
    async def run_program(self, program: Program) -> ProgramResult:
        """Run code in a process of its own; its output lines become log lines of the step."""

    @abstractmethod
    async def complete(
        self,
        request: CompletionRequest,
        *,
        fallback: Sequence[str] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Ask a model named in ``allow.models``, within what ``allow.spend_usd`` leaves.

        What this same step asked before, in an attempt that was cut off, is not bought again.

        Args:
          request: ``model`` is ``provider:model``. With ``schema`` the answer's ``value`` fits.
          fallback: Models that are asked, in order, where the one before does not answer.
          on_text: Called with each piece of the answer as it comes. From the first piece on no
            other try is made; without it, nothing is handed out before it is whole.

        Raises:
          ModelFault: No model answered.
          BudgetExceeded: It would cost more than is left.
          PriceUnknown: Nobody knows what it costs.
          CapabilityRefused: ``allow.models`` does not name a model.
          ComponentNotFound: No such provider is installed.
        """

    @abstractmethod
    async def embed(
        self, texts: Sequence[str], *, embedder: str, purpose: EmbeddingPurpose = "document"
    ) -> Sequence[Vector]:
        """Turn any number of texts into vectors, in order; booked as ``complete`` is.

        One that bills must be named in ``allow.models``.

        Raises:
          ComponentNotFound: No such embedder is installed.
          ModelFault, BudgetExceeded, PriceUnknown, CapabilityRefused: As for ``complete``.
        """

    @abstractmethod
    async def unseen(self, keys: Sequence[str], *, keep_seconds: float | None) -> Sequence[bool]:
        """Tell for each key whether this step sees it for the first time, and remember all.

        What this same step of this same execution was told before, it is told again, so a step
        that is repeated after a crash gets the same answer.

        Args:
          keys: Any texts, in any number; of two equal ones the first is unseen.
          keep_seconds: How long a key is remembered; None for ever.
        """

    @abstractmethod
    async def gather(self, items: Sequence[JSON], *, key: str, due_at: datetime) -> Gathered:
        """Bring items that shall be handed out with those of others, once for this step and item.

        Called again, by a repeated or a waiting step, it says how they stand by then. Whoever
        calls first when they are due is handed all that was brought under the key, and is handed
        it again if asked again; the others are handed nothing. Each has to wait until then: what
        an execution brought that has ended, or is cancelled, is withdrawn.

        Args:
          items: Together at most 256 Ki characters of JSON.
          key: What belongs together, in the workspace; empty for this step of this bot alone.
          due_at: When they are to be handed out (aware UTC), unless others under the key are
            due earlier.
        """

    @abstractmethod
    async def notify(self, notifier: str, notification: Notification, target: str) -> Receipt:
        """Send a notification; raises what :meth:`Notifier.send` raises."""

    @abstractmethod
    async def execute(
        self, bot: str, inputs: Mapping[str, JSON], *, version: int | None = None
    ) -> ExecutionRef:
        """Start an execution of another bot, once for this step and item.

        Called again, by a repeated or a waiting step, it returns the same execution as it
        stands by then.

        Args:
          bot: Its name.
          inputs: As it declares them.
          version: Another one than the live one.

        Raises:
          BotNotFound: No such bot.
          InputsInvalid: The inputs do not fit it.
          CapabilityRefused: ``allow.bots`` does not name it.
        """

    @abstractmethod
    async def describe(self, bot: str, *, version: int | None = None) -> BotCard:
        """What another bot is for and takes, at its live version or another one.

        Raises:
          BotNotFound: No such bot, or no such version of it.
          CapabilityRefused: ``allow.bots`` does not name it.
        """

    @abstractmethod
    async def recorded(self, name: str, make: Callable[[], Awaitable[JSON]]) -> JSON:
        """What ``make`` gives, durable before it is returned, as a part of this step.

        A step that goes on after a crash, a wait or a failed try is given it again, without
        ``make``: so it must call :meth:`recorded` and :meth:`use` in the same order each time.
        Secrets in it are masked.

        Args:
          name: For people, such as ``model``.
          make: Gives JSON; what it raises is raised, and nothing is recorded.
        """

    @abstractmethod
    async def tools(self) -> Sequence[Tool]:
        """The tools of the step's parameter of the format ``tools``, as models take them.

        They are the same in all tries of the step, also where a bot has a new version meanwhile.

        Raises:
          CapabilityRefused: ``allow.tools`` does not name one.
          StepFault: Two have one name, or what offers them cannot be asked.
        """

    @abstractmethod
    async def use(self, tool: str, arguments: Mapping[str, JSON]) -> ToolResult | Waiting:
        """Do what a model asks for, as a part of this step that is recorded like a step.

        Once the step has read text of strangers, a tool that writes asks a person first. What
        was done is not done again: a step that goes on is given the same result.

        Returns:
          What came of it; or what the step is to return, to be called again later.

        Raises:
          ToolRefused: No such tool, or its schema does not take the arguments; words for the
            model.
        """

    @abstractmethod
    async def secret(self, name: str) -> str:
        """The value of a secret named in ``allow.secrets``; it is masked wherever it is written.

        Raises:
          CapabilityRefused: ``allow.secrets`` does not name it.
          SecretNotFound: No store knows it.
        """

    @abstractmethod
    async def connection(self, name: str) -> Connection:
        """A connection named in ``allow.connections``, with the values of its secrets.

        Raises:
          CapabilityRefused: ``allow.connections`` does not name it.
          ConnectionNotFound: The workspace has none of this name.
          SecretNotFound: No store knows a secret that it refers to.
        """

    @abstractmethod
    async def address(self, connection: Connection, port: int) -> str:
        """An address of a connection's host, for a driver that opens its socket itself.

        It must connect to this address, and may need the host's name only for TLS.

        Args:
          connection: As :meth:`connection` gave it.
          port: The connection's own, or the usual one of its type.

        Raises:
          CapabilityRefused: It is no public address, and no operator permits it.
          ProviderUnavailable: The name has none.
        """

    @abstractmethod
    def evaluate(self, expression: str, **variables: JSON) -> JSON:
        """Evaluate a bare CEL expression over ``variables`` alone.

        Raises:
          ExpressionFault: It cannot be evaluated with these.
        """

    @abstractmethod
    def log(self, message: str, *, level: str = "info", **fields: JSON) -> None:
        """Add a log line to the step: level ``debug info warning error``."""


class BotType(ABC):
    """Does one kind of step; retries, time limits, effects and records are the engine's.

    Attributes:
      name: What bots write after ``type:``; ``^[a-z][a-z0-9_-]*$``.
      summary: One line for ``codex32 plugins`` and the docs.
      params_schema: JSON Schema (draft 7) of ``with``: an object, ``additionalProperties``
        false. Each property has a ``description``. A text with ``"format": "duration"`` is a
        duration; one with ``"format": "expression"`` is a bare CEL expression over the names in
        ``"variables"`` and is not evaluated by the engine; one with ``"format": "notifier"``
        names a notifier, and where that one is idempotent, so is the step's effect; one
        with ``"format": "step"`` names a step of the bot; one with ``"format": "connection"``
        names a connection, which ``allow.connections`` has to name, too; a list with
        ``"format": "tools"`` is ``TOOLS_PARAM``, and ``StepContext.use`` does what is in it; an
        object with ``"format": "form"`` maps names to JSON Schemas, as ``ApprovalRequest.form``
        takes them, and is checked when the file is read.
      output_schema: JSON Schema of the output; ``{}`` where anything may come.
      inlined_files: Parameter that names a file beside the bot file -> parameter that receives
        its text when the bot file is read, so that a version holds all its code.
      single: Whether the type may end or pause the whole execution and so makes no sense
        inside ``foreach``.
      only_reads: Whether doing it changes nothing wherever ``effect`` says ``NONE``: it starts no
        program and no bot that may do so in its stead.
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    params_schema: ClassVar[Mapping[str, Any]]
    output_schema: ClassVar[Mapping[str, Any]] = {}
    inlined_files: ClassVar[Mapping[str, str]] = {}
    single: ClassVar[bool] = False
    only_reads: ClassVar[bool] = False

    def effect(self, params: Mapping[str, JSON]) -> Effect:
        """What running with ``params`` (expressions evaluated) does to the world."""
        return Effect.NONE

    def foreign(self, params: Mapping[str, JSON], allow: Allow) -> bool:
        """Whether the output may hold text of strangers that does not come from ``params``.

        What reads such text is watched: its agents' tools that write wait for a person.

        Args:
          params: Expressions not evaluated.
          allow: What the bot may reach.
        """
        return True

    async def offers(
        self, context: StepContext, params: Mapping[str, JSON]
    ) -> Sequence[Offer] | None:
        """The tools that an entry of ``tools`` without ``args`` stands for.

        Args:
          context: Of the step that uses tools.
          params: ``with`` of the entry, expressions evaluated; unchecked.

        Returns:
          At least one; None where the type cannot say and an entry must have ``args``.
        """
        return None

    def check(self, params: Mapping[str, JSON]) -> Sequence[Problem]:
        """Faults of ``with`` that the schema cannot tell; paths are relative to ``with``.

        Called when a file is read, with expressions not yet evaluated (any text that holds
        ``${{`` must be let through). Must not touch the outside nor run anything it is given.
        """
        return ()

    @abstractmethod
    async def run(self, context: StepContext, params: Mapping[str, JSON]) -> Outcome:
        """Do the step once.

        Called on the worker's event loop: it must not block. It is cancelled at the time limit
        and when the execution is cancelled.

        Args:
          context: What the step may do.
          params: ``with``, expressions evaluated, checked against ``params_schema``.

        Returns:
          How it ended. Raising a ``StepFault`` is the same as returning ``Failed``.
        """
