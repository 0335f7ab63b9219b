"""Warm, single-use sandboxes: claim one for a conversation, give it back, say how many to keep warm.

Nothing here speaks to an engine: starts and stops are rows, done by the tasks of each host's own queue.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Unavailable
from agentstore.kit.threads import in_thread
from sandbox import announcements, capacity, dispatch, metrics
from sandbox.claiming import ClaimConflict, ClaimedSandbox, Waiting, Wish, try_claim
from sandbox.models import PoolTarget, Sandbox
from sandbox.spec import RunSpec
from sandbox.transitions import change_status

__all__ = [
    "ClaimConflict", "ClaimedSandbox", "NoCapacity", "Waiting", "aclaim", "claim", "clear_target", "release",
    "release_claim", "release_tenant", "rest_claim", "set_target", "target_spec",
]  # fmt: skip
Status = Sandbox.Status
# However the announcements fare, the rows are looked at this often; by who stands far back in line, less.
_LOOK_SECONDS, _LONGEST_LOOK = 0.5, 4.0
# So many in line are told of a free place; the others could not have it.
_NEXT = 4


class NoCapacity(Unavailable):
    """There was no place, or the sandbox was not ready, within the time given. Trying again may work."""

    code = "no_capacity"


@dataclass
class _Patience:
    """How long a claim waits: `place_seconds` in line for a place, then `wait_seconds` for its sandbox. Without
    `place_seconds` both have `wait_seconds` together.
    """

    wait_seconds: float
    place_seconds: float | None
    began: float = field(default_factory=time.monotonic)
    placed: float | None = None

    def left(self, waiting: Waiting) -> float:
        """Seconds left for what it waits for now."""
        if waiting.sandbox_id is not None and self.placed is None:
            self.placed = time.monotonic()
        spent = time.monotonic() - self.began
        if waiting.sandbox_id is None:
            return (self.wait_seconds if self.place_seconds is None else self.place_seconds) - spent
        in_line = min((self.placed or self.began) - self.began, self.place_seconds or 0)
        return self.wait_seconds + in_line - spent


def claim(
    *, spec: RunSpec, tenant: str, claim_key: str, wait_seconds: float, place_seconds: float | None = None
) -> ClaimedSandbox:
    """The sandbox of this claim key: the one it has, else a warm one, else a new one waited for.

    Safe to repeat: one claim key never has two live sandboxes, and one that died, was evicted or whose host is
    draining is replaced. The sandbox is in use until `rest_claim` or until a turn's time and half a minute have
    passed. Waits at most `wait_seconds`; where there is no place, in line for up to `place_seconds` before that, first
    come first served. Must not be called inside a transaction. Raises NoCapacity when there was no place or it was
    not ready in time, StartFailed (whose fault, and the end of the log) when it did not start, ClaimConflict when the
    key is bound to another tenant or spec.
    """
    wish, patience, waiting = Wish(spec, tenant, claim_key), _Patience(wait_seconds, place_seconds), Waiting()
    while True:
        found = try_claim(wish, waiting)
        if isinstance(found, ClaimedSandbox):
            return _counted(found, patience)
        waiting = found
        left = patience.left(waiting)
        if left <= 0:
            raise _too_late(wish, waiting)
        if _is_next(waiting):
            announcements.wait(waiting.sandbox_id, seconds=min(left, _LOOK_SECONDS))
        else:
            time.sleep(min(left, _pause(waiting)))


async def aclaim(
    *, spec: RunSpec, tenant: str, claim_key: str, wait_seconds: float, place_seconds: float | None = None,
    on_wait: Callable[[Waiting], Awaitable[None]] | None = None,
) -> ClaimedSandbox:  # fmt: skip
    """`claim` for async callers: waiting holds neither a thread nor a database connection.

    `on_wait` is told whenever what is waited for changes: a start, or a place with so many claims before this one.
    """
    wish, patience, waiting = Wish(spec, tenant, claim_key), _Patience(wait_seconds, place_seconds), Waiting()
    told: Waiting | None = None
    while True:
        found = await in_thread(try_claim, wish, waiting)
        if isinstance(found, ClaimedSandbox):
            return _counted(found, patience)
        waiting = found
        if on_wait is not None and waiting != told:
            told = waiting
            await on_wait(waiting)
        left = patience.left(waiting)
        if left <= 0:
            raise await in_thread(_too_late, wish, waiting)
        if _is_next(waiting):
            await announcements.await_(waiting.sandbox_id, seconds=min(left, _LOOK_SECONDS))
        else:
            await asyncio.sleep(min(left, _pause(waiting)))


def rest_claim(*, claim_key: str) -> bool:
    """The claim's sandbox is idle until the next `claim`: it may be evicted, and goes at once where its host drains.

    False when the key has none.
    """
    return bool(
        Sandbox.objects.filter(claim_key=claim_key, status=Status.CLAIMED).update(
            busy_until=None, last_used_at=now()
        )
    )


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


def forget_logs(*, claim_key: str) -> None:
    """Keep nothing that agents printed under this claim, for what they are told may be in it."""
    Sandbox.objects.filter(claim_key=claim_key).update(log_tail="")


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


def _is_next(waiting: Waiting) -> bool:
    return waiting.sandbox_id is not None or waiting.ahead < _NEXT


def _pause(waiting: Waiting) -> float:
    """Each look locks the hosts' rows: two hundred who all look twice a second would keep the next from theirs."""
    return min(_LOOK_SECONDS * (1 + waiting.ahead / _NEXT), _LONGEST_LOOK)


def _counted(claimed: ClaimedSandbox, patience: _Patience) -> ClaimedSandbox:
    metrics.observe("claim_seconds", time.monotonic() - patience.began, warm=str(claimed.was_warm).lower())
    return claimed


def _too_late(wish: Wish, waiting: Waiting) -> NoCapacity:
    capacity.leave_line(claim_key=wish.claim_key)
    metrics.count("claims_refused", reason="no_place" if waiting.sandbox_id is None else "not_ready")
    if waiting.sandbox_id is None:
        return NoCapacity("All places are taken at the moment.", hint="Try again in a minute.")
    return NoCapacity("It is taking longer than usual to start.", hint="Try again in a moment.")
