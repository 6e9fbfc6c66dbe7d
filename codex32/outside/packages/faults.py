"""What can go wrong with packages."""

from __future__ import annotations

from collections.abc import Sequence

#: The index has no wheel that fits, or what it has contradicts itself or its lock.
UNFIT = "packages"
#: Nobody can tell yet: the index does not answer, the disk is full, time ran out.
UNAVAILABLE = "packages-unavailable"
#: What installers say where trying again cannot help.
_FINAL = (
    "no matching distribution",
    "no solution found",
    "failed to resolve dependencies",
    "resolutionimpossible",
    "conflicting dependencies",
    "do not match the hashes",
    "hash mismatch",
    "direct_url",
    "builds nothing",
    "only wheels",
)
#: What they say where nobody answered, whatever they conclude from that.
_SILENT = (
    "retrying (retry(",
    "error sending request",
    "failed to fetch",
    "connection",
    "dns error",
    "timed out",
    "no space left",
)
_LONGEST = 1500


class PackagesFault(Exception):
    """Packages could not be had; the text names them and says why.

    Attributes:
      code: ``packages`` where trying again cannot help, else ``packages-unavailable``.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def judged(requirements: Sequence[str], told: str, all_told: str) -> PackagesFault:
    """What an installer said, as a fault that names the packages it is about.

    Args:
      requirements: What it was to install.
      told: Its last words, for people.
      all_told: All it said.
    """
    culprits = [each for each in requirements if each.partition("==")[0].partition("[")[0] in told]
    names = ", ".join(culprits or requirements)
    said = all_told.lower()
    silent = any(each in said for each in _SILENT)
    final = any(each in said for each in _FINAL) and not silent
    why = " ".join(told.split())[:_LONGEST] or "its installer ended without a word"
    return PackagesFault(f"cannot install {names}: {why}", UNFIT if final else UNAVAILABLE)
