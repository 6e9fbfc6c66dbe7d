"""Rules and dashboards are PromQL, and ask for what the house tells, by labels that it has."""

import json
import re
from pathlib import Path

import promql_parser
import pytest
import yaml

from codex32.services.metering.catalogue import COUNTED, LOOKED_UP

FILES = Path(__file__).parents[2] / "config" / "observability"
RULES = yaml.safe_load((FILES / "prometheus" / "codex32.rules.yml").read_text())
TRIED = yaml.safe_load((FILES / "prometheus" / "codex32.rules.test.yml").read_text())
BOARD = json.loads((FILES / "grafana" / "codex32.json").read_text())


def there():
    """The labels of every series, by its name."""
    found = {}
    for each in (*COUNTED.values(), *LOOKED_UP):
        name = f"codex32_{each.name}"
        if each.buckets:
            found |= {f"{name}_{part}": {*each.labels} for part in ("sum", "count")}
            found[f"{name}_bucket"] = {*each.labels, "le"}
        else:
            found[f"{name}_total" if each.name in COUNTED else name] = {*each.labels}
    return found


def rules():
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def asked():
    for rule in rules():
        yield pytest.param(rule["expr"], id=rule["alert"])
    for panel in BOARD["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "5m")
            yield pytest.param(expression, id=f"{panel['title']} {target['refId']}")


@pytest.mark.parametrize("expression", list(asked()))
def test_an_expression_is_promql_and_asks_for_what_is_told(expression):
    promql_parser.parse(expression)  # raises where it is none
    known = there()
    names = set(re.findall(r"codex32_\w+", expression))
    assert names
    assert names <= known.keys()
    labels = {label for name in names for label in known[name]}
    by = re.findall(r"\bby \(([\w, ]+)\)", expression)
    selected = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
    assert {*selected, *(name.strip() for each in by for name in each.split(","))} <= labels


def test_a_name_that_nobody_tells_would_be_found():
    assert "codex32_executions" not in there()
    with pytest.raises(ValueError, match="unclosed"):
        promql_parser.parse("sum by (")


def test_every_rule_is_tried_where_it_wakes_and_where_it_does_not():
    tried = {}
    for each in TRIED["tests"]:
        for case in each["alert_rule_test"]:
            tried.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert tried == {rule["alert"]: {True, False} for rule in rules()}


def test_the_series_of_their_tests_are_told():
    for each in TRIED["tests"]:
        for given in each["input_series"]:
            name, _, selected = given["series"].partition("{")
            assert set(re.findall(r"(\w+)=", selected)) <= there()[name]


def test_every_rule_says_how_bad_it_is_and_what_to_do():
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description"}


def test_every_metric_is_on_the_board():
    shown = json.dumps(BOARD)
    left_out = {
        "approvals",
        "triggers",
        "steps",
        "plugin_failures",
    }  # their histories are elsewhere
    missing = {
        name for name in (*COUNTED, *(e.name for e in LOOKED_UP)) if f"codex32_{name}" not in shown
    }
    assert missing <= left_out


def test_panels_do_not_lie_over_each_other():
    taken = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
