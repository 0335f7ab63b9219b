"""Warm, single-use sandboxes: claim one for a conversation, give it back, say how many to keep warm.

Nothing here speaks to an engine: starts and stops are rows, done by the tasks of the `sandbox` queue.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Unavailable
from sandbox import announcements, capacity, dispatch
from sandbox.doors import Door, local_door
from sandbox.failures import Fault, StartFailed
from sandbox.models import PoolTarget, Sandbox
from sandbox.spec import RunSpec
from sandbox.transitions import change_status, record_change

Status = Sandbox.Status
# However the announcements fare, the rows are looked at this often.
_LOOK_SECONDS = 0.5


class NoCapacity(Unavailable):
    """There was no place, or the sandbox was not ready, within the time given. Trying again may work."""

    code = "no_capacity"


class ClaimConflict(Conflict):
    """The claim key already has a live sandbox of another tenant or spec."""

    code = "claim_conflict"


@dataclass(frozen=True, slots=True)
class ClaimedSandbox:
    """A sandbox that is the caller's until `release`. `was_warm` is False for one that had to be started."""

    id: uuid.UUID
    door: Door
    protocol: str
    turn_seconds: float
    answer_bytes: int
    was_warm: bool


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Not yet: for the sandbox that is starting, or for a place when None."""

    sandbox_id: uuid.UUID | None


def claim(*, spec: RunSpec, tenant: str, claim_key: str, wait_seconds: float) -> ClaimedSandbox:
    """The sandbox of this claim key: the one it has, else a warm one, else a new one waited for.

    Safe to repeat: one claim key never has two live sandboxes, and one that died is replaced. Waits at most
    `wait_seconds`; must not be called inside a transaction. Raises NoCapacity when there was no place or it
    was not ready in time, StartFailed (whose fault, and the end of the log) when it did not start,
    ClaimConflict when the key is bound to another tenant or spec.
    """
    until = time.monotonic() + wait_seconds
    waiting = _Waiting(None)
    while True:
        found = _try_claim(spec, tenant, claim_key, waiting)
        if isinstance(found, ClaimedSandbox):
            return found
        waiting = found
        left = until - time.monotonic()
        if left <= 0:
            raise _too_late(waiting)
        announcements.wait(waiting.sandbox_id, seconds=min(left, _LOOK_SECONDS))


async def aclaim(*, spec: RunSpec, tenant: str, claim_key: str, wait_seconds: float) -> ClaimedSandbox:
    """`claim` for async callers: waiting holds neither a thread nor a database connection."""
    until = time.monotonic() + wait_seconds
    waiting = _Waiting(None)
    while True:
        found = await sync_to_async(_try_claim)(spec, tenant, claim_key, waiting)
        if isinstance(found, ClaimedSandbox):
            return found
        waiting = found
        left = until - time.monotonic()
        if left <= 0:
            raise _too_late(waiting)
        await announcements.await_(waiting.sandbox_id, seconds=min(left, _LOOK_SECONDS))


def release(*, sandbox_id: uuid.UUID, reason: str) -> bool:
    """End a sandbox: its token is void at once, its container is removed soon after. False if it had ended
    before.
    """
    with transaction.atomic():
        ended = change_status(
            sandbox_id=sandbox_id, to=Status.STOPPED, from_=Sandbox.LIVE, by="pool", reason=reason
        )
        if ended:
            transaction.on_commit(lambda: dispatch.enqueue_stop(sandbox_id))
            transaction.on_commit(announcements.announce_place)
    return ended


def release_claim(*, claim_key: str, reason: str) -> bool:
    """`release` by claim key; False when the key has no live sandbox."""
    row = Sandbox.objects.filter(claim_key=claim_key, status__in=Sandbox.LIVE).first()
    return row is not None and release(sandbox_id=row.pk, reason=reason)


def release_tenant(*, tenant: str, reason: str) -> int:
    """End all that a tenant has, claimed or not, and keep none warm any more. The number that were ended."""
    clear_target(tenant=tenant)
    rows = list(Sandbox.objects.filter(tenant=tenant, status__in=Sandbox.LIVE).values_list("pk", flat=True))
    return sum(release(sandbox_id=pk, reason=reason) for pk in rows)


def set_target(*, spec: RunSpec, tenant: str, floor: int | None = None) -> None:
    """Keep `floor` (default SANDBOX_WARM_FLOOR) sandboxes of this spec warm for the tenant."""
    wanted = settings.SANDBOX_WARM_FLOOR if floor is None else floor
    fields = {"spec": spec.as_json(), "spec_key": spec.fingerprint, "floor": wanted, "updated_at": now()}
    PoolTarget.objects.update_or_create(tenant=tenant, defaults=fields)
    transaction.on_commit(dispatch.enqueue_tending)


def clear_target(*, tenant: str) -> None:
    """Keep none warm any more; those that nobody claimed are stopped."""
    if PoolTarget.objects.filter(tenant=tenant).delete()[0]:
        transaction.on_commit(dispatch.enqueue_tending)


def target_spec(*, tenant: str) -> RunSpec | None:
    """What is kept warm for a tenant, None when nothing is."""
    target = PoolTarget.objects.filter(tenant=tenant).first()
    return None if target is None else target.run_spec


def _try_claim(spec: RunSpec, tenant: str, claim_key: str, waiting: _Waiting) -> ClaimedSandbox | _Waiting:
    _raise_if_failed(waiting)
    while True:
        try:
            return _held(spec, tenant, claim_key) or _warm(spec, tenant, claim_key) or _new(
                spec, tenant, claim_key
            )  # fmt: skip
        except IntegrityError:
            # Another call with the same key was faster by a moment: its sandbox is found on the next round.
            continue


def _held(spec: RunSpec, tenant: str, claim_key: str) -> ClaimedSandbox | _Waiting | None:
    row = Sandbox.objects.filter(claim_key=claim_key, status__in=Sandbox.LIVE).first()
    if row is None:
        return None
    if (row.tenant, row.spec_key) != (tenant, spec.fingerprint):
        raise ClaimConflict("This claim is bound to a sandbox of another tenant or spec.")
    if row.status == Status.STARTING:
        return _Waiting(row.pk)
    if not local_door(row.pk).is_answering():
        _bury(row.pk)
        return None
    Sandbox.objects.filter(pk=row.pk).update(last_used_at=now())
    return _claimed(row, was_warm=bool(row.ready_at and row.claimed_at and row.ready_at < row.claimed_at))


def _warm(spec: RunSpec, tenant: str, claim_key: str) -> ClaimedSandbox | _Waiting | None:
    while (row := _take(spec, tenant, claim_key)) is not None:
        if row.status == Status.STARTING:
            return _Waiting(row.pk)
        if local_door(row.pk).is_answering():
            dispatch.enqueue_tending()
            return _claimed(row, was_warm=True)
        _bury(row.pk)
    return None


@transaction.atomic
def _take(spec: RunSpec, tenant: str, claim_key: str) -> Sandbox | None:
    """A warm one, claimed; else one that is on its way to be warm, promised."""
    _one_at_a_time(claim_key)
    at = now()
    mine = Sandbox.objects.filter(tenant=tenant, spec_key=spec.fingerprint, claim_key="").select_for_update(
        skip_locked=True
    )
    row = mine.filter(status=Status.WARM).order_by("ready_at").first()
    if row is not None:
        record_change(
            row, to=Status.CLAIMED, by="pool", reason="claimed", claim_key=claim_key, claimed_at=at,
            last_used_at=at,
        )  # fmt: skip
        return row
    row = mine.filter(status=Status.STARTING).order_by("created_at").first()
    if row is not None:
        row.claim_key = claim_key
        row.save(update_fields=["claim_key"])
    return row


def _one_at_a_time(claim_key: str) -> None:
    """Raises IntegrityError when another call with the key has got one by now.

    Without the lock, the loser of two such calls would hold back a second warm one for the moment of its try,
    and a third conversation would be told that there is none.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [claim_key])
    if Sandbox.objects.filter(claim_key=claim_key, status__in=Sandbox.LIVE).exists():
        raise IntegrityError("claimed by another call")


def _new(spec: RunSpec, tenant: str, claim_key: str) -> _Waiting:
    row = capacity.reserve_place(spec=spec, tenant=tenant, claim_key=claim_key, by="pool", evict=True)
    return _Waiting(None if row is None else row.pk)


def _bury(sandbox_id: uuid.UUID) -> None:
    """What the reaper would say a little later: it is gone, and nobody may be given it."""
    with transaction.atomic():
        if change_status(
            sandbox_id=sandbox_id, to=Status.FAILED, from_=(Status.WARM, Status.CLAIMED), by="pool",
            reason="it no longer answers at its socket", fault=Fault.AGENT, failure_code="gone",
        ):  # fmt: skip
            transaction.on_commit(lambda: dispatch.enqueue_stop(sandbox_id))


def _claimed(row: Sandbox, *, was_warm: bool) -> ClaimedSandbox:
    spec = row.run_spec
    return ClaimedSandbox(
        id=row.pk, door=local_door(row.pk), protocol=spec.protocol,
        turn_seconds=spec.turn_seconds, answer_bytes=spec.answer_bytes, was_warm=was_warm,
    )  # fmt: skip


def _raise_if_failed(waiting: _Waiting) -> None:
    row = Sandbox.objects.filter(pk=waiting.sandbox_id).first() if waiting.sandbox_id else None
    if row is not None and row.status == Status.FAILED:
        raise StartFailed(
            row.reason or "The sandbox did not start.", fault=Fault(row.fault or Fault.PLATFORM),
            code=row.failure_code or None, log_tail=row.log_tail,
        )  # fmt: skip


def _too_late(waiting: _Waiting) -> NoCapacity:
    if waiting.sandbox_id is None:
        return NoCapacity("All places are taken at the moment.", hint="Try again in a minute.")
    return NoCapacity("It is taking longer than usual to start.", hint="Try again in a moment.")
