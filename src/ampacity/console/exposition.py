"""The counts of the data process as Prometheus reads them. Seconds, bytes and totals, as its users expect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BY_KIND = ["tier", "alias"]
MS, US = 1e-3, 1e-6


def exposition(statuses: Sequence[dict[str, Any] | None]) -> bytes:
    """All of it; of a data process that does not answer, status None, only that.

    Of several, each by itself under the label `worker`: a sum of counters would fall when one of them begins anew.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Counts(statuses))
    return generate_latest(registry)


class _Counts(Collector):
    def __init__(self, statuses: Sequence[dict[str, Any] | None]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[Metric]:
        """Every family, once."""
        found: dict[str, Metric] = {}
        for k, status in enumerate(self._statuses):
            for family in _families(status):
                if len(self._statuses) > 1:
                    family.samples = [s._replace(labels={**s.labels, "worker": str(k)}) for s in family.samples]
                if found.setdefault(family.name, family) is not family:
                    found[family.name].samples += family.samples
        yield from found.values()


def _families(status: dict[str, Any] | None) -> Iterator[Metric]:
    yield GaugeMetricFamily("ampacity_up", "Whether the data process answers.", value=float(status is not None))
    if status is not None:
        yield from _process(status)
        yield from _pools(status["pools"])
        yield from _requests(status["metrics"])
        yield _queue(status["queue"])


def _process(status: dict[str, Any]) -> Iterator[Metric]:
    journal = status["journal"]
    gauges = {
        "ready": ("Whether new requests are taken.", float(status["ready"])),
        "uptime_seconds": ("Since the data process began.", status["uptime_s"]),
        "resident_memory_bytes": ("Of the data process.", status["memory_bytes"]),
        "requests_in_flight": ("Requests that have not ended.", status["exchanges"]),
        "connections": ("Open connections of clients.", status["connections"]),
        "keys": ("Keys in force.", status["keys"]),
        "subscribers": ("Subscribers with a key in force.", status["subscribers"]),
        "journal_last": ("Ordinal of the last event.", journal["last"]),
        "journal_durable": ("Ordinal of the last event that is on disk.", journal["durable"]),
        "journal_failing": ("Whether the journal cannot be written.", float(journal["error"] is not None)),
    }
    for name, (words, value) in gauges.items():
        yield GaugeMetricFamily(f"ampacity_{name}", words, value=value)
    counts = status["metrics"]
    for name, words in (
        ("malformed", "Requests that could not be read."),
        ("unauthenticated", "Requests without a key that is known."),
        ("cut_short", "Answers that a pool broke off."),
        ("left", "Clients that went before their answer was whole."),
    ):
        yield CounterMetricFamily(f"ampacity_{name}", words, value=counts[name])


def _pools(pools: list[dict[str, Any]]) -> Iterator[Metric]:
    figures: dict[str, tuple[str, Callable[[dict[str, Any]], float]]] = {
        "pool_requests": ("Requests that a pool has.", lambda p: p["requests"]),
        "pool_slots": ("Requests that a pool runs at once.", lambda p: p["slots"]),
        "pool_backlog_tokens": ("Prompt tokens yet to be computed, estimated.", lambda p: p["backlog_tokens"]),
        "pool_open": ("Whether a pool takes new requests.", lambda p: float(p["state"] == "open")),
        "pool_healthy": ("Whether a pool is not set aside.", lambda p: float(p["health"] == "sound")),
    }
    for name, (words, of) in figures.items():
        family = GaugeMetricFamily(f"ampacity_{name}", words, labels=["pool", "alias"])
        for pool in pools:
            family.add_metric([pool["name"], pool["alias"]], of(pool))
        yield family


def _requests(metrics: dict[str, Any]) -> Iterator[Metric]:
    requests = CounterMetricFamily("ampacity_requests", "Requests by what was decided.", labels=[*BY_KIND, "outcome"])
    tokens = CounterMetricFamily("ampacity_tokens", "Tokens that were settled.", labels=[*BY_KIND, "kind"])
    errors = CounterMetricFamily("ampacity_errors", "Errors that were answered.", labels=[*BY_KIND, "status"])
    failures = CounterMetricFamily("ampacity_pool_failures", "Attempts that a pool failed.", labels=BY_KIND)
    first = HistogramMetricFamily("ampacity_time_to_first_token_seconds", "Of answers.", labels=BY_KIND)
    whole = HistogramMetricFamily("ampacity_answer_seconds", "From a request to the end of its answer.", labels=BY_KIND)
    each = HistogramMetricFamily("ampacity_time_per_output_token_seconds", "After the first, a mean.", labels=BY_KIND)
    for kind in metrics["kinds"]:
        own = [kind["tier"], kind["alias"]]
        for outcome, count in kind["outcomes"].items():
            requests.add_metric([*own, outcome], count)
        for name, count in kind["tokens"].items():
            tokens.add_metric([*own, name], count)
        for status, count in kind["statuses"].items():
            errors.add_metric([*own, status], count)
        failures.add_metric(own, kind["pool_failures"])
        first.add_metric(own, _buckets(kind["ttft_ms"], MS), kind["ttft_sum_ms"] * MS)
        whole.add_metric(own, _buckets(kind["answer_ms"], MS), kind["answer_sum_ms"] * MS)
        each.add_metric(own, _buckets(kind["tpot_us"], US), kind["tpot_sum_us"] * US)
    refusals = CounterMetricFamily(
        "ampacity_refusals",
        "Requests that a window or an hour's cap refused.",
        labels=["tier", "window", "owner", "alias"],
    )
    for row in metrics["refusals"]:
        refusals.add_metric([row["tier"], row["window"], row["owner"], row["alias"]], row["count"])
    yield from (requests, tokens, errors, failures, first, whole, each, refusals)


def _buckets(counts: list[int], unit_s: float) -> list[tuple[str, float]]:
    """Cumulative counts; bucket i holds less than 2^i of the unit, the last one what is more."""
    found = []
    total = 0
    for i, count in enumerate(counts[:-1]):
        total += count
        found.append((repr(2**i * unit_s), float(total)))
    return [*found, ("+Inf", float(total + counts[-1]))]


def _queue(queue: list[dict[str, Any]]) -> Metric:
    family = GaugeMetricFamily("ampacity_waiting", "Requests that wait for a pool.", labels=BY_KIND)
    for row in queue:
        family.add_metric([row["tier"], row["alias"]], row["waiting"])
    return family
