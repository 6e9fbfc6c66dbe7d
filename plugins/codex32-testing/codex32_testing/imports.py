"""What importing a plugin costs, and what it imports."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

#: Of the processor's time that importing a plugin may take, beside the public face, which any of
#: them imports; what it needs to work is imported when it works.
_MOST_SECONDS = 0.1
_LONGEST_IMPORT_SECONDS = 60.0
#: As long as a busy machine makes any import wait.
_MOST_WAITED_SECONDS = 1.0
_BEHIND_THE_FACE = ("kernel", "engine", "services", "outside", "builtin", "runtime", "api", "cli")
_HIDDEN = [[name] for name in _BEHIND_THE_FACE]


def weight(module: str) -> list[str]:
    """What is wrong with how it is imported: its price, what it prints, how it ends."""
    code = (
        "import sys, codex32.face, time, importlib\nbefore = set(sys.modules)\n"
        "began, busy = time.monotonic(), time.process_time()\n"
        f"importlib.import_module({module.partition(':')[0]!r})\n"
        "took = time.process_time() - busy, time.monotonic() - began\n"
        "print('\\nend', *took, len(set(sys.modules) - before))\n"
    )
    took: list[float] = []
    waited: list[float] = []
    while len(took) < 3:  # the first may read from a cold disk
        try:
            answer = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                timeout=_LONGEST_IMPORT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return [f"its import does not end within {_LONGEST_IMPORT_SECONDS:.0f} seconds"]
        printed, _, end = answer.stdout.strip().rpartition("\n")
        if answer.returncode or not end.startswith("end "):
            fault = answer.stderr.strip().rpartition("\n")[2]
            return [fault or f"its import ends the process (exit code {answer.returncode})"]
        if printed.strip():
            return [f"it prints when it is imported: {' '.join(printed.split())[:200]}"]
        _, busy, whole, count = end.split()
        took.append(float(busy))
        waited.append(float(whole) - float(busy))
        if min(took) <= _MOST_SECONDS and min(waited) <= _MOST_WAITED_SECONDS:
            return []
    if min(waited) > _MOST_WAITED_SECONDS:
        return [f"its import waits {min(waited):.1f} seconds for something; do it when it is used"]
    return [f"it takes {min(took) * 1000:.0f} ms and {count} modules; import inside functions"]


def behind_the_face(module: str) -> list[str]:
    """Where it imports what is behind the public face of the house."""
    spec = importlib.util.find_spec(module.partition(":")[0].partition(".")[0])
    if spec is None or spec.origin is None:
        return []
    origin = Path(spec.origin)
    sources = origin.parent.rglob("*.py") if origin.name == "__init__.py" else [origin]
    faults = []
    for source in sorted(sources):
        try:
            tree = ast.parse(source.read_bytes())
        except (SyntaxError, ValueError) as error:
            faults.append(f"{source.name}:{getattr(error, 'lineno', 0)} is no Python: {error}")
            continue
        for node in ast.walk(tree):
            faults += [
                f"{source.name}:{getattr(node, 'lineno', 0)} imports {name}"
                for name in _imported(node)
                if name.split(".")[:1] == ["codex32"] and name.split(".")[1:2] in _HIDDEN
            ]
    return faults


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [f"{node.module}.{alias.name}" for alias in node.names] + [node.module or ""]
    return []
