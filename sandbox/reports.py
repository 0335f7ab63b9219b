"""Figures for the operator's page: what runs, how starts go, why things ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Avg, Count, F, Q, QuerySet, Sum
from django.db.models.functions import TruncHour

from agentstore.kit.clock import now
from sandbox.capacity import STILL_WAITING
from sandbox.failures import Fault
from sandbox.models import Host, PoolTarget, Sandbox, WaitingClaim

Status = Sandbox.Status


@dataclass(frozen=True, slots=True)
class Overview:
    """The pool at this moment, and the last day. `start_seconds` is a mean, None without a start."""

    starting: int
    warm: int
    claimed: int
    places: int
    waiting: int
    unremoved: int
    started: int
    agent_failures: int
    platform_failures: int
    start_seconds: float | None


@dataclass(frozen=True, slots=True)
class TargetState:
    """One tenant that is kept warm: what is wanted and what is there."""

    tenant: str
    trust: str
    floor: int
    wanted: int
    warm: int
    starting: int


def overview() -> Overview:
    """One query over the live ones, one over the last day."""
    live = Sandbox.objects.aggregate(
        starting=Count("pk", filter=Q(status=Status.STARTING)),
        warm=Count("pk", filter=Q(status=Status.WARM)),
        claimed=Count("pk", filter=Q(status=Status.CLAIMED)),
        unremoved=Count("pk", filter=Q(removed_at=None) & ~Q(status__in=Sandbox.LIVE)),
    )
    day = Sandbox.objects.filter(created_at__gt=now() - timedelta(days=1)).aggregate(
        started=Count("pk", filter=~Q(ready_at=None)),
        agent_failures=Count("pk", filter=Q(fault="agent")),
        platform_failures=Count("pk", filter=Q(fault="platform")),
        start_time=Avg(F("ready_at") - F("created_at"), filter=~Q(ready_at=None)),
    )
    mean = day.pop("start_time")
    seconds = mean.total_seconds() if mean is not None else None
    up = Host.objects.filter(status=Host.Status.UP).aggregate(places=Sum("places"))
    return Overview(
        places=up["places"] or 0, waiting=waiting_claims().count(), start_seconds=seconds, **live, **day
    )


def targets() -> list[TargetState]:
    """All tenants that are kept warm, by name."""
    counts = {
        (row["tenant"], row["spec_key"], row["status"]): row["number"]
        for row in Sandbox.objects.filter(status__in=(Status.WARM, Status.STARTING), claim_key="")
        .values("tenant", "spec_key", "status")
        .annotate(number=Count("pk"))
    }
    return [
        TargetState(
            tenant=target.tenant, trust=target.run_spec.trust, floor=target.floor,
            wanted=target.wanted,
            warm=counts.get((target.tenant, target.spec_key, Status.WARM), 0),
            starting=counts.get((target.tenant, target.spec_key, Status.STARTING), 0),
        )
        for target in PoolTarget.objects.all()
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class HostState:
    """One host and what it holds: sandboxes live or not yet removed, and the bytes of their limits."""

    host: Host
    held: int
    memory_bytes: int
    busy: int


def host_states() -> list[HostState]:
    """All hosts, by name; one query over what they hold."""
    held: dict[str, Mapping[str, Any]] = {
        row["host"]: row
        for row in Sandbox.objects.filter(Q(status__in=Sandbox.LIVE) | Q(removed_at=None))
        .values("host")
        .annotate(
            number=Count("pk"), memory=Sum("memory_bytes"),
            busy=Count("pk", filter=Q(status=Status.CLAIMED, busy_until__gt=now())),
        )
    }  # fmt: skip
    nothing = {"number": 0, "memory": 0, "busy": 0}
    return [HostState(host, **_held(held.get(host.name, nothing))) for host in Host.objects.all()]


def _held(row: Mapping[str, Any]) -> dict[str, int]:
    return {"held": row["number"], "memory_bytes": row["memory"], "busy": row["busy"]}


def failures_by_fault(*, hours: int = 24) -> tuple[list[str], list[dict[str, Any]]]:
    """Failures of each hour up to now, the agents' and ours: labels, and series for a line chart."""
    first = now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours - 1)
    counted = {
        (row["hour"], row["fault"]): row["number"]
        for row in Sandbox.objects.filter(ended_at__gte=first)
        .exclude(fault="")
        .annotate(hour=TruncHour("ended_at"))
        .values("hour", "fault")
        .annotate(number=Count("pk"))
        .order_by()
    }
    steps = [first + timedelta(hours=number) for number in range(hours)]
    series = [
        {"name": name, "values": [counted.get((hour, fault), 0) for hour in steps]}
        for fault, name in ((Fault.PLATFORM, "Ours"), (Fault.AGENT, "Agents'"))
    ]
    return [f"{hour:%H:%M}" for hour in steps], series


def waiting_claims() -> QuerySet[WaitingClaim]:
    """The claims that wait for a place now, in the order in which they are served."""
    return WaitingClaim.objects.filter(seen_at__gt=now() - STILL_WAITING)
