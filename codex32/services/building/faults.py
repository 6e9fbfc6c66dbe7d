"""What can be wrong with what is asked of the builder."""

from __future__ import annotations

from collections.abc import Sequence

from codex32.kernel.errors import Codex32Error, WithProblems
from codex32.kernel.problems import Problem


class BuildNotFound(Codex32Error):
    """The workspace has no session of the builder of this id."""

    code = "build-not-found"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"there is no session {session_id}; see: codex32 build list")


class BuildConflict(Codex32Error):
    """A session of the builder is not where this can be done; the message says where it is."""

    code = "build-conflict"


class AnswersInvalid(WithProblems):
    """Answers to a session of the builder name questions that it did not ask."""

    code = "answers-invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("these answers cannot be taken:", problems)


class SecretsWritten(WithProblems):
    """A bot that a model would be told of holds a secret, or what is called one, in its file."""

    code = "secrets-written"

    def __init__(self, bot: str, problems: Sequence[Problem]) -> None:
        super().__init__(f"no model may be told what {bot} holds in these places:", problems)


class BuilderUnset(Codex32Error):
    """No model was named for the builder."""

    code = "builder-unset"

    def __init__(self) -> None:
        super().__init__(
            "the builder has no model: name one as provider:model, in the setting "
            "builder.model or with the request; codex32 models lists them"
        )
