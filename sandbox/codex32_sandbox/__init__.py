"""The inner half of the house's sandboxes: what runs where a bot's Python runs.

It is started by a clean interpreter that knows neither the house nor what is installed, so it
imports the standard library alone, and of that only what it needs: the zygote (``zygote.py``)
makes a cell for every program (``cell.py``), the cell closes itself in (``rooms.py``,
``landlock.py``, ``seccomp.py``) and calls the author's ``main`` (``program.py``).
"""
