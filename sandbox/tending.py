"""Keep as many sandboxes warm as the targets say."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db import transaction

from agentstore.kit.clock import now
from sandbox import capacity, dispatch
from sandbox.models import PoolTarget, Sandbox
from sandbox.transitions import change_status

log = structlog.get_logger(__name__)
Status = Sandbox.Status
# Seconds to wait after the last failure, by failures in a row: what does not start is tried ever less.
_BACK_OFF = (0, 5, 30, 120, 600)


def tend_pool() -> dict[str, int]:
    """Start what is missing, stop what is too much; safe to run at any time and twice at once."""
    done = {"started": 0, "stopped": 0}
    targets = {target.tenant: target for target in PoolTarget.objects.all()}
    for target in targets.values():
        done["started"] += _fill(target)
    for row in Sandbox.objects.filter(status=Status.WARM).order_by("ready_at"):
        wanted = targets.get(row.tenant)
        if wanted is None or wanted.spec_key != row.spec_key:
            done["stopped"] += _stop(row, "no longer wanted")
    for target in targets.values():
        warm = Sandbox.objects.filter(status=Status.WARM, tenant=target.tenant, spec_key=target.spec_key)
        for row in warm.order_by("ready_at")[target.floor :]:
            done["stopped"] += _stop(row, "more than are wanted")
    if any(done.values()):
        log.info("sandbox.tended", **done)
    return done


def _fill(target: PoolTarget) -> int:
    """Reserve places for what is missing, as far as there are places."""
    spec = target.run_spec
    if _backs_off(target):
        return 0
    started = 0
    while started < target.floor:
        with transaction.atomic():
            # The lock keeps two runs from filling the same gap.
            PoolTarget.objects.select_for_update().filter(pk=target.pk).first()
            there = Sandbox.objects.filter(
                tenant=target.tenant, spec_key=target.spec_key, claim_key="",
                status__in=(Status.WARM, Status.STARTING),
            ).count()  # fmt: skip
            if there >= target.floor:
                break
            if not capacity.reserve_place(
                spec=spec, tenant=target.tenant, claim_key="", by="tend", evict=False
            ):
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
        # One that was ready once did start: what became of it later is no reason to wait.
        if row.ready_at is not None or row.status != Status.FAILED:
            break
        failures += 1
        last = last or row.ended_at
    wait = _BACK_OFF[min(failures, len(_BACK_OFF) - 1)]
    return last is not None and now() < last + timedelta(seconds=wait)


def _stop(row: Sandbox, reason: str) -> int:
    with transaction.atomic():
        ended = change_status(
            sandbox_id=row.pk, to=Status.STOPPED, from_=(Status.WARM,), by="tend", reason=reason
        )
        if ended:
            transaction.on_commit(lambda: dispatch.enqueue_stop(row.pk))
    return int(ended)
