"""A statement on a database: its text, the session it runs in, and the step."""

from codex32.builtin.bot_types.sql.step import SqlBotType

__all__ = ["SqlBotType"]
