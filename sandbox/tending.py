"""Keep as many sandboxes warm as recent demand asks for, and none where a host drains."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Avg, Count, F, Q

from agentstore.kit.clock import now
from sandbox import capacity, dispatch
from sandbox.demand import WINDOWS, Demand, warm_wanted
from sandbox.models import Host, PoolTarget, Sandbox
from sandbox.transitions import change_status, record_change

log = structlog.get_logger(__name__)
Status = Sandbox.Status
# Seconds to wait after the last failure, by failures in a row: what does not start is tried ever less.
_BACK_OFF = (0, 5, 30, 120, 600)
# Until one was started, a start is taken to last so many seconds.
_USUAL_START = 2.0


def tend_pool() -> dict[str, int]:
    """Start what is missing, stop what is too much; safe to run at any time and twice at once."""
    done = {"started": 0, "stopped": 0}
    targets = {target.tenant: target for target in PoolTarget.objects.all()}
    _look_at_demand(targets)
    for target in targets.values():
        done["started"] += _fill(target)
    for row in Sandbox.objects.filter(status=Status.WARM).order_by("ready_at"):
        wanted = targets.get(row.tenant)
        if wanted is None or wanted.spec_key != row.spec_key:
            done["stopped"] += _stop(row, "no longer wanted")
    for target in targets.values():
        warm = Sandbox.objects.filter(status=Status.WARM, tenant=target.tenant, spec_key=target.spec_key)
        for row in warm.order_by("ready_at")[target.wanted :]:
            done["stopped"] += _stop(row, "more than are wanted")
    done["stopped"] += _empty_draining_hosts()
    capacity.forget_absent_waiters()
    if any(done.values()):
        log.info("sandbox.tended", **done)
    return done


def _look_at_demand(targets: Mapping[str, PoolTarget]) -> None:
    """How many each tenant shall have, from its claims of the last minutes and the time its starts took."""
    at = now()
    longest = timedelta(seconds=max(WINDOWS))
    seen = Sandbox.objects.filter(tenant__in=targets, claimed_at__gt=at - longest).values("tenant")
    counts = {
        window: Count("pk", filter=Q(claimed_at__gt=at - timedelta(seconds=window))) for window in WINDOWS
    }
    took = Avg(F("ready_at") - F("begun_at"), filter=~Q(begun_at=None) & ~Q(ready_at=None))
    found: dict[str, dict[str, Any]] = {
        row["tenant"]: dict(row)
        for row in seen.annotate(**{f"n{window}": n for window, n in counts.items()}, took=took)
    }
    for target in targets.values():
        row = found.get(target.tenant, {})
        seconds = row["took"].total_seconds() if row.get("took") else _USUAL_START
        demand = Demand({w: row.get(f"n{w}", 0) for w in WINDOWS}, seconds)
        wanted = warm_wanted(demand, floor=target.floor, ceiling=settings.SANDBOX_WARM_CEILING)
        if wanted != target.wanted:
            target.wanted = wanted
            PoolTarget.objects.filter(pk=target.pk).update(wanted=wanted)


def _fill(target: PoolTarget) -> int:
    """Reserve places for what is missing, as far as there are places."""
    spec = target.run_spec
    if _backs_off(target):
        return 0
    started = 0
    while started < target.wanted:
        with transaction.atomic():
            # The lock keeps two runs from filling the same gap.
            PoolTarget.objects.select_for_update().filter(pk=target.pk).first()
            there = Sandbox.objects.filter(
                tenant=target.tenant, spec_key=target.spec_key, claim_key="",
                status__in=(Status.WARM, Status.STARTING),
            ).count()  # fmt: skip
            if there >= target.wanted:
                break
            found = capacity.reserve_place(spec=spec, tenant=target.tenant, claim_key="", by="tend")
            if isinstance(found, capacity.Refused):
                break
        started += 1
    return started


def _backs_off(target: PoolTarget) -> bool:
    recent = Sandbox.objects.filter(tenant=target.tenant, spec_key=target.spec_key).exclude(
        status=Status.STARTING
    )
    failures = 0
    last = None
    for row in recent.order_by("-created_at")[: len(_BACK_OFF)]:
        # One that was ready once did start, and a host that went away says nothing of the start.
        if row.ready_at is not None or row.status != Status.FAILED or row.failure_code == "host_lost":
            break
        failures += 1
        last = last or row.ended_at
    wait = _BACK_OFF[min(failures, len(_BACK_OFF) - 1)]
    return last is not None and now() < last + timedelta(seconds=wait)


def _empty_draining_hosts() -> int:
    """What waits or rests on a host that drains goes; a running turn is left to its end."""
    draining = Host.objects.filter(status=Host.Status.DRAINING).values("name")
    rests = Q(status=Status.WARM) | Q(status=Status.CLAIMED) & (Q(busy_until=None) | Q(busy_until__lt=now()))
    stopped = 0
    with transaction.atomic():
        # Locked, so that no turn begins in one that is about to go.
        rows = Sandbox.objects.select_for_update(skip_locked=True).filter(rests, host__in=draining)
        for row in rows:
            record_change(row, to=Status.STOPPED, by="tend", reason="its host drains")
            transaction.on_commit(partial(dispatch.enqueue_stop, row.pk, host=row.host))
            stopped += 1
    return stopped


def _stop(row: Sandbox, reason: str) -> int:
    with transaction.atomic():
        ended = change_status(
            sandbox_id=row.pk, to=Status.STOPPED, from_=(Status.WARM,), by="tend", reason=reason
        )
        if ended:
            transaction.on_commit(lambda: dispatch.enqueue_stop(row.pk, host=row.host))
    return int(ended)
