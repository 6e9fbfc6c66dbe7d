"""``GET /metrics``: how the whole installation does, in the text format of Prometheus."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from codex32.api.errors import NothingHere, Unauthorized
from codex32.api.kept import Kept
from codex32.kernel.contracts.route import PUBLIC, ApiRequest, ApiResponse, Route
from codex32.runtime import Runtime
from codex32.services.metering import catalogue, looking
from codex32.services.metering.meter import BEYOND, SUM, WHOLE

#: How long an answer serves all who ask.
KEEP_SECONDS = 2.0
#: What every scraper takes. The library calls what it writes by a newer version, which differs in
#: names that we do not have.
TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "codex32_"


class MetricsRoutes:
    """``/metrics``, for whoever has the token that is set for it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._kept = Kept(KEEP_SECONDS, self._look)

    def routes(self) -> list[Route]:
        """The declarations."""
        return [
            Route(
                method="GET",
                path="/metrics",
                operation="metrics.read",
                policy=PUBLIC,
                handler=self._show,
                summary="Numbers about the installation, for Prometheus",
                description="Needs `Authorization: Bearer` with the setting `metrics.token`; "
                "where none is set, nothing is here.",
                content_type="text/plain",
            )
        ]

    async def _show(self, request: ApiRequest) -> ApiResponse:
        self._check(request.headers.get("Authorization", ""))
        return ApiResponse(await self._kept.get(), content_type=TEXT_FORMAT)

    async def _look(self) -> bytes:
        return await self._runtime.door.read(_text, self._runtime.clock.micros())

    def _check(self, authorization: str) -> None:
        token = self._runtime.settings.metrics.token
        if token is None:
            raise NothingHere("nothing is here; the setting metrics.token opens it")
        scheme, _, given = authorization.partition(" ")
        told = given.strip().encode(errors="surrogateescape")
        known = hmac.compare_digest(told, token.get_secret_value().encode())
        if scheme.lower() != "bearer" or not known:
            raise Unauthorized("the token of the setting metrics.token is needed")


class _House(Collector):
    """The readings as the library wants them."""

    def __init__(self, now: int) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        for reading in looking.counted():
            if reading.metric.buckets:
                yield _histogram(reading.metric, reading.values)
            else:
                counter = CounterMetricFamily(
                    _PREFIX + reading.metric.name,
                    reading.metric.help,
                    labels=_names(reading.metric),
                )
                for labels, parts in sorted(reading.values.items()):
                    counter.add_metric(labels, parts.get(WHOLE, 0) / reading.metric.scale)
                yield counter
        for metric, values in looking.looked_up(self._now):
            gauge = GaugeMetricFamily(_PREFIX + metric.name, metric.help, labels=_names(metric))
            for labels, value in values.items():
                gauge.add_metric(labels, value)
            yield gauge


def _names(metric: catalogue.Metric) -> list[str]:
    return list(metric.labels)


def _histogram(
    metric: catalogue.Metric, values: Mapping[tuple[str, ...], Mapping[str, int]]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(_PREFIX + metric.name, metric.help, labels=_names(metric))
    bounds = [*map(str, metric.buckets), BEYOND]
    for labels, parts in sorted(values.items()):
        counts = accumulate(parts.get(bound, 0) for bound in bounds)
        buckets = list(zip(bounds, counts, strict=True))
        family.add_metric(labels, buckets, sum_value=parts.get(SUM, 0) / metric.scale)
    return family


def _text(now: int) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_House(now))
    return generate_latest(registry)
