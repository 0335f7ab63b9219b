"""Places on the hosts: a row that holds one before anything is started, and who is next when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Count, F, Q, Sum

from agentstore.kit.clock import now
from sandbox import dispatch, hosts, metrics
from sandbox.models import Host, Sandbox, WaitingClaim
from sandbox.spec import RunSpec
from sandbox.transitions import note_change, record_change

# A waiter looks twice a second; one that has not looked for so long has given up.
STILL_WAITING = timedelta(seconds=10)
# What holds a place: what lives, and what has ended but may still be there.
_HOLDS = Q(status__in=Sandbox.LIVE) | Q(removed_at=None)


@dataclass(frozen=True, slots=True)
class Room:
    """What is free on one host: places, and bytes that sandboxes' limits may still take."""

    host: str
    places: int
    memory_bytes: int
    share: float

    def fits(self, memory_bytes: int) -> int:
        """How many sandboxes with this limit find room."""
        return max(0, min(self.places, self.memory_bytes // max(1, memory_bytes)))


@dataclass(frozen=True, slots=True)
class Refused:
    """No place yet; `ahead` claims wait that came earlier."""

    ahead: int


@transaction.atomic
def reserve_place(*, spec: RunSpec, tenant: str, claim_key: str, by: str) -> Sandbox | Refused:
    """A starting sandbox on the host with the most room, and its start enqueued there.

    Those who wait are served in the order in which they came. For a claim, a sandbox that is warm for others makes
    room (the oldest first), then the conversation's that has rested the longest: the place is free once that is
    gone. Without a claim key nobody makes room. Raises IntegrityError when the key has a live sandbox.
    """
    # The lock keeps two callers from counting the same free place; in one order, so that none waits in a ring.
    able = list(hosts.placeable(spec.trust).select_for_update(of=("self",)).order_by("name"))
    rooms = free_rooms(able)
    ahead = _ahead_of(claim_key, spec)
    free = sum(room.fits(spec.memory_bytes) for room in rooms)
    if free > ahead:
        return _reserve(spec, tenant, claim_key, by, max(rooms, key=lambda room: _worth(room, spec)).host)
    if claim_key:
        _wait_in_line(claim_key, tenant, spec)
        leaving = Sandbox.objects.filter(host__in=[h.name for h in able], removed_at=None).exclude(
            status__in=Sandbox.LIVE
        )
        if free + leaving.count() <= ahead:
            _evict_one(able)
    return Refused(ahead)


def free_rooms(able: Sequence[Host]) -> list[Room]:
    """What is free on each of these hosts."""
    held = {
        row["host"]: row
        for row in Sandbox.objects.filter(_HOLDS, host__in=[host.name for host in able])
        .values("host")
        .annotate(number=Count("pk"), memory=Sum("memory_bytes"))
    }
    rooms = []
    for host in able:
        taken = held.get(host.name, {"number": 0, "memory": 0})
        places = host.places - taken["number"]
        rooms.append(
            Room(host.name, places, host.memory_bytes - taken["memory"], places / max(1, host.places))
        )
    return rooms


def _worth(room: Room, spec: RunSpec) -> tuple[bool, float]:
    """Where to put one more: where it fits, by the share that is free, so that small hosts do not fill first."""
    return room.fits(spec.memory_bytes) > 0, room.share


def leave_line(*, claim_key: str) -> None:
    """The claim waits no longer."""
    WaitingClaim.objects.filter(claim_key=claim_key).delete()


def forget_absent_waiters() -> int:
    """Drop those who gave up without a word; how many."""
    return WaitingClaim.objects.filter(seen_at__lt=now() - STILL_WAITING).delete()[0]


def _reserve(spec: RunSpec, tenant: str, claim_key: str, by: str, host: str) -> Sandbox:
    row = Sandbox.objects.create(
        image_id=spec.image_id, tenant=tenant, claim_key=claim_key, spec=spec.as_json(),
        spec_key=spec.fingerprint, host=host, memory_bytes=spec.memory_bytes,
    )  # fmt: skip
    if claim_key:
        leave_line(claim_key=claim_key)
    note_change(row, before="", by=by, reason="for a claim" if claim_key else "to be kept warm")
    transaction.on_commit(lambda: dispatch.enqueue_start(row.pk, host=host))
    return row


def _wait_in_line(claim_key: str, tenant: str, spec: RunSpec) -> None:
    WaitingClaim.objects.update_or_create(
        claim_key=claim_key,
        defaults={"seen_at": now()},
        create_defaults={"tenant": tenant, "trust": str(spec.trust)},
    )


def _ahead_of(claim_key: str, spec: RunSpec) -> int:
    """Who waits for the same kind of host and came earlier; all of them for who is not waiting yet."""
    waiting = WaitingClaim.objects.filter(trust=str(spec.trust), seen_at__gt=now() - STILL_WAITING)
    mine = WaitingClaim.objects.filter(claim_key=claim_key).first() if claim_key else None
    if mine is not None:
        waiting = waiting.filter(Q(since__lt=mine.since) | Q(since=mine.since, claim_key__lt=claim_key))
    return waiting.count()


def _evict_one(able: Sequence[Host]) -> None:
    names = [host.name for host in able]
    spare = Sandbox.objects.select_for_update(skip_locked=True).filter(host__in=names)
    row = spare.filter(status=Sandbox.Status.WARM).order_by("ready_at").first()
    kind = "warm"
    if row is None:
        rests = Q(busy_until=None) | Q(busy_until__lt=now())
        resting = spare.filter(rests, status=Sandbox.Status.CLAIMED)
        row = resting.order_by(F("last_used_at").asc(nulls_first=True)).first()
        kind = "resting"
    if row is None:
        return
    sandbox_id, host = row.pk, row.host
    record_change(row, to=Sandbox.Status.STOPPED, by="pool", reason="made room for a conversation")
    metrics.count("evictions", kind=kind, host=host)
    transaction.on_commit(lambda: dispatch.enqueue_stop(sandbox_id, host=host))
