"""One try to get a claim its sandbox: the one it has, a warm one, else a place for a new one."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict
from sandbox import capacity, dispatch
from sandbox.claim_queries import TakenRow, find_held, take_warm
from sandbox.doors import Door
from sandbox.failures import Fault, StartFailed
from sandbox.hosts import this_host
from sandbox.models import Host, Sandbox
from sandbox.remote.door import door_at
from sandbox.spec import RunSpec
from sandbox.transitions import change_status

log = structlog.get_logger(__name__)
Status = Sandbox.Status
# What a turn may take beyond its own time before its sandbox counts as one that rests.
_TURN_GRACE = 30
_LOCKED_PAUSE, _LOCKED_TRIES = 0.002, 50


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
class Waiting:
    """Not yet: the sandbox that is starting, or None for a place, with the number of claims that go before."""

    sandbox_id: uuid.UUID | None = None
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """What a claim asks for."""

    spec: RunSpec
    tenant: str
    claim_key: str


def try_claim(wish: Wish, waiting: Waiting) -> ClaimedSandbox | Waiting:
    """The claim's sandbox, or what it waits for now. Raises StartFailed, ClaimConflict."""
    _raise_if_failed(waiting)
    while True:
        try:
            return _held(wish) or _warm(wish) or _promised(wish) or _new(wish)
        except IntegrityError:
            # Another call with the same key was faster by a moment: its sandbox is found on the next round.
            continue


def _held(wish: Wish) -> ClaimedSandbox | Waiting | None:
    row = find_held(claim_key=wish.claim_key)
    if row is None:
        return None
    if (row.tenant, row.spec_key) != (wish.tenant, wish.spec.fingerprint):
        raise ClaimConflict("This claim is bound to a sandbox of another tenant or spec.")
    if row.status == Status.STARTING:
        return Waiting(row.id)
    if row.host_status in (Host.Status.DRAINING, Host.Status.LOST):
        _leave(row.id, row.host, f"its host is {row.host_status}")
        return None
    door = door_at(row.id, host=row.host, address=row.address)
    if not door.is_answering():
        _bury(row.id, row.host, door)
        return None
    # None is changed when it was evicted at this moment.
    if not Sandbox.objects.filter(pk=row.id, status=Status.CLAIMED).update(
        last_used_at=now(), busy_until=_busy_until(wish.spec)
    ):
        return None
    return _claimed(wish, row.id, door, was_warm=row.was_warm)


def _warm(wish: Wish) -> ClaimedSandbox | None:
    for _ in range(_LOCKED_TRIES):
        while (found := _take_warm(wish)) is not None:
            door = door_at(found.id, host=found.host, address=found.address)
            if door.is_answering():
                dispatch.enqueue_tending()
                return _claimed(wish, found.id, door, was_warm=True)
            _bury(found.id, found.host, door)
        if not Sandbox.objects.warm(tenant=wish.tenant, spec=wish.spec, here=this_host()).exists():
            return None
        # Another call holds it: it takes it, or lets it go in a moment.
        time.sleep(_LOCKED_PAUSE)
    return None


def _take_warm(wish: Wish) -> TakenRow | None:
    found = take_warm(
        tenant=wish.tenant, spec_key=wish.spec.fingerprint, claim_key=wish.claim_key, here=this_host(),
        at=now(), busy_until=_busy_until(wish.spec),
    )  # fmt: skip
    if found is not None:
        log.info(
            "sandbox.status", sandbox=str(found.id), tenant=wish.tenant, before="warm", after="claimed",
            by="pool", reason="claimed", host=found.host,
        )  # fmt: skip
    return found


@transaction.atomic
def _promised(wish: Wish) -> Waiting | None:
    """One that is on its way to be warm, promised to this claim."""
    coming = Sandbox.objects.select_for_update(skip_locked=True).filter(
        tenant=wish.tenant, spec_key=wish.spec.fingerprint, claim_key="", status=Status.STARTING
    )
    row = coming.order_by("created_at").first()
    if row is None:
        return None
    row.claim_key = wish.claim_key
    row.save(update_fields=["claim_key"])
    return Waiting(row.pk)


def _new(wish: Wish) -> Waiting:
    found = capacity.reserve_place(spec=wish.spec, tenant=wish.tenant, claim_key=wish.claim_key, by="pool")
    if isinstance(found, capacity.Refused):
        return Waiting(ahead=found.ahead)
    return Waiting(found.pk)


def _leave(sandbox_id: uuid.UUID, host: str, reason: str) -> None:
    with transaction.atomic():
        if change_status(
            sandbox_id=sandbox_id, to=Status.STOPPED, from_=(Status.CLAIMED,), by="pool", reason=reason
        ):
            transaction.on_commit(lambda: dispatch.enqueue_stop(sandbox_id, host=host))


def _bury(sandbox_id: uuid.UUID, host: str, door: Door) -> None:
    """What the reaper would say a little later: it is gone, and nobody may be given it."""
    failure = door.find_fault()
    with transaction.atomic():
        if change_status(
            sandbox_id=sandbox_id, to=Status.FAILED, from_=(Status.WARM, Status.CLAIMED), by="pool",
            reason=failure.message, fault=failure.fault, failure_code=failure.code,
        ):  # fmt: skip
            transaction.on_commit(lambda: dispatch.enqueue_stop(sandbox_id, host=host))


def _claimed(wish: Wish, sandbox_id: uuid.UUID, door: Door, *, was_warm: bool) -> ClaimedSandbox:
    return ClaimedSandbox(
        id=sandbox_id, door=door, protocol=wish.spec.protocol, turn_seconds=wish.spec.turn_seconds,
        answer_bytes=wish.spec.answer_bytes, was_warm=was_warm,
    )  # fmt: skip


def _busy_until(spec: RunSpec) -> datetime:
    return now() + timedelta(seconds=spec.turn_seconds + _TURN_GRACE)


def _raise_if_failed(waiting: Waiting) -> None:
    if waiting.sandbox_id is None:
        return
    row = Sandbox.objects.filter(pk=waiting.sandbox_id, status=Status.FAILED).first()
    if row is not None:
        raise StartFailed(
            row.reason or "The sandbox did not start.", fault=Fault(row.fault or Fault.PLATFORM),
            code=row.failure_code or None, log_tail=row.log_tail,
        )  # fmt: skip
