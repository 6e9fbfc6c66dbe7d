"""Who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path


def test_no_floor_imports_one_above_it(root):
    lint = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run(
        [lint, "--no-cache", "--config", "setup.cfg"], cwd=root, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_guests_use_the_public_face_alone(sources):
    # The testing kit is no guest: it tells authors what the loader would say of their plugin.
    guests = ("codex32.builtin.", "codex32_")
    others = ("codex32_config", "codex32_migrations", "codex32_workers", "codex32_testing")
    inside = []
    for source in sources:
        if not source.module.startswith(guests) or source.module.startswith(others):
            continue
        own = "codex32.builtin" if source.module.startswith("codex32.builtin") else "codex32_"
        inside += [
            f"{source.path}: {name}"
            for name in _imports(source.tree)
            if name.startswith("codex32.") and not name.startswith(own)
        ]
    assert inside == []


def test_only_the_kernel_speaks_to_pluggy(sources):
    strangers = [
        source.path
        for source in sources
        if any(name.partition(".")[0] == "pluggy" for name in _imports(source.tree))
        and not source.module.startswith("codex32.kernel.")
    ]
    assert strangers == []


def _imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
