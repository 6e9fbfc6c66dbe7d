"""Secrets from the environment and from a directory of files."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from codex32 import ProviderUnavailable, SecretStore

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")
_LONGEST_BYTES = 64 * 1024
_VARIABLE = "CODEX32_SECRET_"


def all_secret_stores(config: Mapping[str, Any]) -> list[SecretStore]:
    """The environment, and the directory in ``secrets_directory`` where that is set."""
    stores: list[SecretStore] = [EnvironmentSecretStore()]
    if directory := config.get("secrets_directory"):
        stores.append(FileSecretStore(Path(directory)))
    return stores


class EnvironmentSecretStore(SecretStore):
    """Reads ``CODEX32_SECRET_<NAME>``, or the file that ``CODEX32_SECRET_<NAME>_FILE`` names."""

    scheme: ClassVar[str] = "environment"

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment

    async def read(self, name: str) -> str | None:
        """The value; a variable that is set but empty is an empty secret."""
        if not _NAME.fullmatch(name):
            return None
        variable = f"{_VARIABLE}{name}"
        value = self._environment.get(variable)
        if value is None and (path := self._environment.get(f"{variable}_FILE")):
            value = await asyncio.to_thread(_read, Path(path))
        return value

    async def names(self) -> Sequence[str]:
        """Those of all variables; one that ends in ``_FILE`` may be of two secrets."""
        ends = [
            each.removeprefix(_VARIABLE)
            for each in self._environment
            if each.startswith(_VARIABLE)
        ]
        return _named([*ends, *(each.removesuffix("_FILE") for each in ends)])


class FileSecretStore(SecretStore):
    """Reads the file called like the secret, as Docker and Kubernetes lay them out."""

    scheme: ClassVar[str] = "files"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def read(self, name: str) -> str | None:
        """The file's text without the newline at its end."""
        # A name holds no separator and no dot, so it cannot leave the directory.
        if not _NAME.fullmatch(name):
            return None
        return await asyncio.to_thread(_read, self._directory / name)

    async def names(self) -> Sequence[str]:
        """Those of all files."""
        return _named(await asyncio.to_thread(_files, self._directory))


def _named(found: Sequence[str]) -> list[str]:
    return sorted({each for each in found if _NAME.fullmatch(each)})


def _files(directory: Path) -> list[str]:
    try:
        return [each.name for each in directory.iterdir() if each.is_file()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ProviderUnavailable(
            f"the directory of secrets cannot be read: {error.strerror}"
        ) from None


def _read(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_LONGEST_BYTES + 1)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ProviderUnavailable(
            f"the secret file {path.name} cannot be read: {reason}"
        ) from None
    if len(text) > _LONGEST_BYTES:
        raise ProviderUnavailable(f"the secret file {path.name} is longer than 64 KiB")
    return text.removesuffix("\n").removesuffix("\r")
