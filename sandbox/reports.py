"""Figures for the operator's page: what runs, how starts go, why things ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Avg, Count, F, Q

from agentstore.kit.clock import now
from sandbox.models import PoolTarget, Sandbox

Status = Sandbox.Status


@dataclass(frozen=True, slots=True)
class Overview:
    """The pool at this moment, and the last day. `start_seconds` is a mean, None without a start."""

    starting: int
    warm: int
    claimed: int
    places: int
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
    return Overview(places=settings.SANDBOX_MAX, start_seconds=seconds, **live, **day)


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
            warm=counts.get((target.tenant, target.spec_key, Status.WARM), 0),
            starting=counts.get((target.tenant, target.spec_key, Status.STARTING), 0),
        )
        for target in PoolTarget.objects.all()
    ]  # fmt: skip
