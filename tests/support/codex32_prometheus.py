"""Prometheus and Alertmanager with the files that are shipped: the real ones, or faithful ones.

Both watch one address of the API. The real ones are used where they are installed; what stands in
for them scrapes as Prometheus does, evaluates the rules it can (``increase(NAME[TIME]) > NUMBER``)
and sends what Alertmanager sends: https://prometheus.io/docs/alerting/latest/configuration/.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import promql_parser
import yaml
from codex32_houses import until
from prometheus_client import parser as plain
from prometheus_client.openmetrics import parser as open_metrics

SHIPPED = Path(__file__).parents[2] / "config" / "observability" / "prometheus"
BINARIES = [
    shutil.which("prometheus"),
    shutil.which("prometheus-alertmanager") or shutil.which("alertmanager"),
]
#: What Prometheus 2 says that it takes.
ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
_PACE_SECONDS = 0.5


class Watch(Protocol):
    """Somebody who watches a house."""

    def value(self, name: str) -> float | None:
        """The latest value of a series without labels; None where it was not scraped yet."""


def settle(folder: Path, url: str, token: str, secret: str) -> tuple[Any, Any]:
    """Copy the files that are shipped, for an API at ``url``; what stands in the two."""
    place = urllib.parse.urlsplit(url)
    for each in SHIPPED.iterdir():
        shutil.copy(each, folder)
    (folder / "codex32.token").write_text(token)
    (folder / "alertmanager.token").write_text(secret)
    watching = yaml.safe_load((folder / "prometheus.yml").read_text())
    watching["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    watching["scrape_configs"][0]["static_configs"][0]["targets"] = [place.netloc]
    telling = yaml.safe_load((folder / "alertmanager.yml").read_text())
    telling["route"]["group_wait"] = "0s"
    (receiver,) = telling["receivers"][0]["webhook_configs"]
    receiver["url"] = receiver["url"].replace("127.0.0.1:8032", place.netloc)
    return watching, telling


# the real ones


class Real:
    """A Prometheus that is asked over HTTP."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/query?query="

    def value(self, name: str) -> float | None:
        """The latest value of a series."""
        with urllib.request.urlopen(self._url + name, timeout=30) as answer:
            found = json.loads(answer.read())["data"]["result"]
        return float(found[0]["value"][1]) if found else None


@contextmanager
def real(folder: Path, url: str, token: str, secret: str) -> Iterator[Watch]:
    """Both as they are installed."""
    watching, telling = settle(folder, url, token, secret)
    here, there = _free_port(), _free_port()
    watching["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [
        f"127.0.0.1:{there}"
    ]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(watching))
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(telling))
    prometheus, alertmanager = map(str, BINARIES)
    commands = [
        [alertmanager, "--config.file=alertmanager.yml", "--storage.path=alerts",
         f"--web.listen-address=127.0.0.1:{there}", "--cluster.listen-address="],
        [prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=series",
         f"--web.listen-address=127.0.0.1:{here}"],
    ]  # fmt: skip
    with ExitStack() as stack:
        said = stack.enter_context((folder / "said.txt").open("wb"))
        for command in commands:
            process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
            stack.callback(process.wait, 60)
            stack.callback(process.kill)
        until(lambda: all(map(_ready, (here, there))), f"both answer, see {folder}/said.txt")
        yield Real(here)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=30):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


# what stands in for them


class StandIn:
    """Scrapes, evaluates and tells, on a thread of its own."""

    def __init__(self, folder: Path, watching: Any, telling: Any) -> None:
        self._folder, self._telling = folder, telling
        (self._job,) = watching["scrape_configs"]
        rules = yaml.safe_load((folder / watching["rule_files"][0]).read_text())
        self._rules = [rule for group in rules["groups"] for rule in group["rules"]]
        #: When, and the value then, by the name of a series without labels.
        self._series: dict[str, list[tuple[float, float]]] = {}
        self._firing: dict[str, str] = {}
        self._over = threading.Event()
        self.faults: list[Exception] = []

    def value(self, name: str) -> float | None:
        """The latest value of a series."""
        assert not self.faults, self.faults
        return self._series[name][-1][1] if name in self._series else None

    def run(self) -> None:
        """Watch until :meth:`stop`."""
        while not self._over.wait(_PACE_SECONDS):
            try:
                self._scrape()
                self._evaluate()
            except Exception as error:
                self.faults.append(error)

    def stop(self) -> None:
        """Watch no more."""
        self._over.set()

    def _scrape(self) -> None:
        (place,) = self._job["static_configs"][0]["targets"]
        headers = {"Accept": ACCEPT, **self._authorization(self._job["authorization"])}
        request = urllib.request.Request(f"http://{place}/metrics", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            kind, text = answer.headers["Content-Type"], answer.read().decode()
        wanted = "application/openmetrics-text", "text/plain; version=0.0.4"
        assert kind.startswith(wanted), kind
        reads = open_metrics if kind.startswith(wanted[0]) else plain
        for family in reads.text_string_to_metric_families(text):
            for sample in family.samples:
                if not sample.labels:
                    self._series.setdefault(sample.name, []).append((time.time(), sample.value))

    def _evaluate(self) -> None:
        for rule in self._rules:
            if not rule.get("for") and self._holds(promql_parser.parse(rule["expr"])):
                began = datetime.now(UTC).isoformat().replace("+00:00", "Z")
                if rule["alert"] not in self._firing:
                    self._firing[rule["alert"]] = began
                    self._tell(rule)

    def _holds(self, asked: Any) -> bool:
        if not isinstance(asked, promql_parser.BinaryExpr) or str(asked.op) != ">":
            return False
        call, bound = asked.lhs, asked.rhs
        if not isinstance(call, promql_parser.Call) or call.func.name != "increase":
            return False
        (within,) = call.args
        since = time.time() - within.range.total_seconds()
        told = self._series.get(within.vector_selector.name, [])
        seen = [value for at, value in told if at >= since]
        return len(seen) > 1 and seen[-1] - seen[0] > bound.val

    def _tell(self, rule: Any) -> None:
        labels = {"alertname": rule["alert"], **rule["labels"]}
        alert = {
            "status": "firing",
            "labels": labels,
            "annotations": rule["annotations"],
            "startsAt": self._firing[rule["alert"]],
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph",
            "fingerprint": sha256(json.dumps(labels).encode()).hexdigest()[:16],
        }
        receiver = self._telling["route"]["receiver"]
        (chosen,) = (each for each in self._telling["receivers"] if each["name"] == receiver)
        (hook,) = chosen["webhook_configs"]
        group = {name: labels[name] for name in self._telling["route"]["group_by"]}
        body = {
            "receiver": receiver,
            "status": "firing",
            "alerts": [alert],
            "groupLabels": group,
            "commonLabels": labels,
            "commonAnnotations": rule["annotations"],
            "externalURL": "http://alertmanager:9093",
            "version": "4",
            "groupKey": f"{{}}:{json.dumps(group)}",
            "truncatedAlerts": 0,
        }
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Alertmanager/0.25.0",
            **self._authorization(hook["http_config"]["authorization"]),
        }
        request = urllib.request.Request(hook["url"], json.dumps(body).encode(), headers)
        for _ in range(2):  # whose answer it did not get, it tells again
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status < 300

    def _authorization(self, told: Any) -> dict[str, str]:
        credentials = (self._folder / told["credentials_file"]).read_text().strip()
        return {"Authorization": f"{told.get('type', 'Bearer')} {credentials}"}


@contextmanager
def stand_in(folder: Path, url: str, token: str, secret: str) -> Iterator[Watch]:
    """What stands in for both."""
    watch = StandIn(folder, *settle(folder, url, token, secret))
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()
    assert not watch.faults, watch.faults


def scraped(watch: Watch, name: str) -> float:
    """The value of a series, once there is one."""
    until(lambda: watch.value(name) is not None, f"{name} is scraped")
    found = watch.value(name)
    assert found is not None
    return found
