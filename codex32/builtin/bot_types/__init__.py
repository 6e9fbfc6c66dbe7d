"""Kinds of steps that need no SDK."""

from codex32 import BotType
from codex32.builtin.bot_types.agent import AgentBotType
from codex32.builtin.bot_types.answer import AnswerBotType
from codex32.builtin.bot_types.approve import ApproveBotType
from codex32.builtin.bot_types.bot import BotBotType
from codex32.builtin.bot_types.dedupe import DedupeBotType
from codex32.builtin.bot_types.end import EndBotType
from codex32.builtin.bot_types.event import EventBotType
from codex32.builtin.bot_types.gather import GatherBotType
from codex32.builtin.bot_types.http import HttpBotType
from codex32.builtin.bot_types.index import IndexBotType
from codex32.builtin.bot_types.llm import LlmBotType
from codex32.builtin.bot_types.mcp import McpBotType
from codex32.builtin.bot_types.notify import NotifyBotType
from codex32.builtin.bot_types.python import PythonBotType
from codex32.builtin.bot_types.retrieve import RetrieveBotType
from codex32.builtin.bot_types.set import SetBotType
from codex32.builtin.bot_types.sql import SqlBotType
from codex32.builtin.bot_types.wait import WaitBotType


def all_bot_types() -> list[BotType]:
    """One of each."""
    return [
        AgentBotType(),
        AnswerBotType(),
        ApproveBotType(),
        BotBotType(),
        DedupeBotType(),
        EndBotType(),
        EventBotType(),
        GatherBotType(),
        HttpBotType(),
        LlmBotType(),
        IndexBotType(),
        McpBotType(),
        NotifyBotType(),
        PythonBotType(),
        RetrieveBotType(),
        SetBotType(),
        SqlBotType(),
        WaitBotType(),
    ]
