"""Chaos: random blows against a house under load, and the books afterwards.

``python -m tests.faults.chaos --seconds 300 --seed 7 --database postgresql`` from the root of the
repository. Without a seed it takes one by itself; the same seed makes the same choices, though
not the same races. Ends with 1 where a promise was broken; ``--keep FOLDER`` keeps what the
processes said.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from codex32_violence.chaos import Ordeal, suffer, table


def main() -> int:
    """Parse the command line and let a house suffer."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long blows fall [60]")
    parser.add_argument("--seed", type=int, help="of all choices [a new one, printed]")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--queued", type=int, default=1000, help="executions at the start [1000]")
    parser.add_argument("--keep", type=Path, help="folder for what the processes said")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    print(f"chaos: seed {seed}, {given.seconds:g} s on {given.database}", flush=True)
    ordeal = Ordeal(given.database, seed, given.seconds, given.queued)
    made = nullcontext(given.keep) if given.keep else tempfile.TemporaryDirectory()
    with made as name:
        folder = Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        books, done = suffer(ordeal, folder, lambda text: print(text, flush=True))
    print(table(books, done))
    print(f"seed {seed}")
    return 1 if books.faults else 0


if __name__ == "__main__":
    sys.exit(main())
