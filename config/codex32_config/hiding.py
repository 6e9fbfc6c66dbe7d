"""Which settings are secret, and what is shown in their place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

from codex32_config.table import Table

_MASK = "********"
_PASSWORD = re.compile(r"(://[^/@\s]*:)[^/\s]*(?=@)|([?&]password=)[^&\s]*")
_SECRET_NAME = re.compile(r"key|token|secret|password|credential|dsn", re.IGNORECASE)


def secrets_of(value: Any, name: str = "") -> Iterator[str]:
    """Every secret in a table, or in what stands under ``name``."""
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case Table() | dict():
            for key, each in value.items() if isinstance(value, dict) else value:
                yield from secrets_of(each, key)
        case str() if value and _SECRET_NAME.search(name):
            yield value


def masked(value: Any, name: str = "") -> Any:
    """``value`` as JSON without what a name tells to be secret, and without passwords in URLs."""
    match value:
        case dict():
            return {key: masked(each, key) for key, each in value.items()}
        case list():
            return [masked(each, name) for each in value]
        case str() if value and _SECRET_NAME.search(name):
            return _MASK
        case str():
            return _PASSWORD.sub(rf"\1\2{_MASK}", value)
    return value
