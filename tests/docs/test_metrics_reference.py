"""The page of metrics names every metric with its labels, and no other."""

import re
from pathlib import Path

from codex32.services.metering.catalogue import COUNTED, LOOKED_UP

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "monitor.md").read_text()


def test_every_metric_has_its_row_and_its_labels():
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE, re.MULTILINE)
    told = {name: re.findall(r"`(\w+)`", labels) for name, labels in rows}
    wanted = {
        each.name if each.buckets else f"{each.name}_total": list(each.labels)
        for each in COUNTED.values()
    }
    assert told == wanted | {each.name: list(each.labels) for each in LOOKED_UP}
