"""What Prometheus reads: the state from the rows, events and times from `sandbox.metrics`.

All processes and hosts are in one answer, so one target is scraped, whichever web process answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from django.db.models import Count
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sandbox import metrics, reports
from sandbox.models import Sandbox

Labels = tuple[tuple[str, str], ...]
Values = dict[tuple[str, Labels], float]

# name, what it tells, labels
_COUNTERS = (
    ("failures", "Sandboxes that failed, by whose fault it was and why", ("fault", "code", "host")),
    ("evictions", "Sandboxes that made room for a conversation", ("kind", "host")),
    ("claims_refused", "Claims that waited in vain", ("reason",)),
)
_HISTOGRAMS = (
    (
        "start_seconds",
        "From a host's taking a start up to the agent's first answer",
        ("driver", "runtime", "warm"),
    ),
    ("claim_seconds", "From a claim to its sandbox; warm=false is a miss of the pool", ("warm",)),
)


def exposition() -> bytes:
    """Everything in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Sandboxes())
    return generate_latest(registry)


class _Sandboxes(Collector):
    def collect(self) -> Iterable[Metric]:
        """The state, then the events."""
        yield from _state()
        values = metrics.read_all()
        for name, told, labels in _COUNTERS:
            counter = CounterMetricFamily(f"sandbox_{name}", told, labels=labels)
            for (found, pairs), value in values.items():
                if found == name:
                    counter.add_metric(_in_order(pairs, labels), value)
            yield counter
        for name, told, labels in _HISTOGRAMS:
            yield _histogram(values, name, told, labels)


def _state() -> Iterator[Metric]:
    live = GaugeMetricFamily("sandbox_live", "Sandboxes by status", labels=("host", "status"))
    rows = (
        Sandbox.objects.filter(status__in=Sandbox.LIVE).values("host", "status").annotate(number=Count("pk"))
    )
    for row in rows.order_by():
        live.add_metric((row["host"], row["status"]), row["number"])
    yield live
    places = GaugeMetricFamily("sandbox_places", "Places of a host", labels=("host",))
    taken = GaugeMetricFamily("sandbox_places_taken", "Places that something holds", labels=("host",))
    memory = GaugeMetricFamily(
        "sandbox_memory_reserved_bytes", "What the limits of its sandboxes add up to", labels=("host",)
    )
    up = GaugeMetricFamily("sandbox_host_up", "1 for a host that takes sandboxes", labels=("host", "driver"))
    broken = GaugeMetricFamily(
        "sandbox_host_broken_properties", "Properties that do not hold", labels=("host",)
    )
    for state in reports.host_states():
        host = state.host
        places.add_metric((host.name,), host.places)
        taken.add_metric((host.name,), state.held)
        memory.add_metric((host.name,), state.memory_bytes)
        takes = host.status == host.Status.UP and not host.refusal and host.proven_at is not None
        up.add_metric((host.name, host.driver), float(takes))
        broken.add_metric((host.name,), len(host.broken))
    yield from (places, taken, memory, up, broken)
    waiting = GaugeMetricFamily("sandbox_claims_waiting", "Claims that wait for a place")
    waiting.add_metric((), reports.waiting_claims().count())
    yield waiting


def _histogram(values: Values, name: str, told: str, labels: tuple[str, ...]) -> Metric:
    family = HistogramMetricFamily(f"sandbox_{name}", told, labels=labels)
    buckets: dict[Labels, dict[str, float]] = defaultdict(dict)
    for (found, pairs), value in values.items():
        if found == f"{name}_bucket":
            bound = dict(pairs)["le"]
            buckets[tuple(pair for pair in pairs if pair[0] != "le")][bound] = value
    for pairs, counted in buckets.items():
        total, summed = 0.0, list[tuple[str, float]]()
        for bound in [f"{b:g}" for b in metrics.BUCKETS] + ["+Inf"]:
            total += counted.get(bound, 0.0)
            summed.append((bound, total))
        family.add_metric(
            _in_order(pairs, labels), buckets=summed, sum_value=values.get((f"{name}_sum", pairs), 0.0)
        )
    return family


def _in_order(pairs: Labels, labels: tuple[str, ...]) -> list[str]:
    known = dict(pairs)
    return [known.get(label, "") for label in labels]
