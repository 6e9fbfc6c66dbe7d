"""What a process does once it stands and is going to live for long."""

from __future__ import annotations

import gc

#: New objects after which the youngest are looked through: an execution makes some hundred, most
#: of which go without the collector, and the default of 700 has it run for every few.
YOUNG = 50_000


def settle_memory() -> None:
    """Have the garbage collector pass over what is there for good: modules, plugins, settings.

    It would else go through all of that again and again, a fifth of what an execution costs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 100)
