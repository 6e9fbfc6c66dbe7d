"""Which step comes before which: needs, circles, and what lies upstream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Needs = Mapping[str, Sequence[str]]


def upstream(needs: Needs) -> dict[str, frozenset[str]]:
    """For each step all steps that are done before it begins.

    Ids that no step has are left out; in a circle each step is upstream of the others.
    """
    found: dict[str, frozenset[str]] = {}
    for start in needs:
        seen: set[str] = set()
        open_ = list(needs[start])
        while open_:
            step = open_.pop()
            if step in needs and step not in seen:
                seen.add(step)
                # Steps told before need no second walk.
                open_.extend(found.get(step) or needs[step])
        found[start] = frozenset(seen - {start})
    return found


def find_circle(needs: Needs) -> list[str]:
    """Steps that wait for one another, the first one repeated at the end; empty if none do."""
    done: set[str] = set()
    for start in needs:
        way: list[str] = []
        pending = [(start, iter(needs[start]))]
        while pending and start not in done:
            step, rest = pending[-1]
            if step not in way:
                way.append(step)
            following = next((s for s in rest if s in needs and s not in done), None)
            if following in way:
                return [*way[way.index(following) :], following]
            if following is not None:
                pending.append((following, iter(needs[following])))
                continue
            pending.pop()
            way.pop()
            done.add(step)
    return []
