"""Telling platforms of their orders' changes: signed, in order for each order, until they take it or time is up.

At least once: the row says that it is to be sent until the answer is there, so a worker killed in between sends it
again, with the same id and the same body. What is sent is the order as it stands at the first attempt.
"""

from __future__ import annotations

import json
import time
import uuid
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Greatest

from agentstore.identity.models import User
from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, StoreError
from agentstore.kit.fetch import Bounds, send
from agentstore.kit.locks import only_one
from agentstore.kit.signatures import sign_request
from marketplace.catalog.ucp.objects import absolute
from marketplace.catalog.ucp.versions import APRIL, VERSIONS, speaking
from marketplace.shopping.models import UcpCheckout, UcpOrderEvent, UcpOrderEventChange, UcpProfile
from marketplace.shopping.order_events import send_soon
from marketplace.shopping.ucp.discovery import refresh_profile
from marketplace.shopping.ucp.negotiation import ORDER, intersect, negotiated
from marketplace.shopping.ucp.orders import load_order, order_object

GIVE_UP_AFTER: Final = timedelta(days=3)
KEPT_FOR: Final = timedelta(days=30)
_FIRST_RETRY: Final = timedelta(seconds=5)
_LAST_RETRY: Final = timedelta(hours=6)
# Twice what three days come to: only one whose attempts never end, not even as failures, gets here.
_MOST_ATTEMPTS: Final = 40
_BOUNDS: Final = Bounds(max_bytes=64_000, seconds=10)
# So long a worker is busy with one platform before others have their turn.
_ROUND_SECONDS: Final = 30
_PLATFORMS_AT_ONCE: Final = 200
_NAMES: Final = uuid.UUID("5bd5a4c4-6a0a-4b8e-9a35-2d5f8f3d2c11")
Status = UcpOrderEvent.Status

logger = structlog.get_logger(__name__)


class Undelivered(StoreError):
    """The platform did not take an event. `hold` says that it would take no other one either."""

    code = "undelivered"

    def __init__(self, message: str, *, hold: bool) -> None:
        super().__init__(message)
        self.hold = hold


class AlreadyDelivered(Conflict):
    """There is nothing to send again."""

    code = "already_delivered"


def tell_platform(*, platform: str) -> int:
    """Send a platform what is due, one event after the other; how many it took. One worker at a time does.

    Speaks to the outside: call it outside of a transaction.
    """
    taken = 0
    until = time.monotonic() + _ROUND_SECONDS
    with only_one(uuid.uuid5(_NAMES, platform)) as mine:
        while mine and time.monotonic() < until:
            event = _begin(platform)
            if event is None:
                return taken
            taken += _tell(event)
    if mine:
        send_soon(platform)
    return taken


def wake_platforms() -> int:
    """Have workers send what is due, whatever became of the tasks that should have; to how many platforms."""
    due = UcpOrderEvent.objects.filter(status=Status.PENDING, due_at__lte=now())
    platforms = list(due.order_by().values_list("platform", flat=True).distinct()[:_PLATFORMS_AT_ONCE])
    for platform in platforms:
        send_soon(platform)
    return len(platforms)


@transaction.atomic
def send_again(*, event_id: uuid.UUID, by: User) -> UcpOrderEvent:
    """Send an event that was not delivered at once, for three days more, with the order as it is by then.

    Raises AlreadyDelivered.
    """
    event = UcpOrderEvent.objects.select_for_update().get(event_id=event_id)
    if event.status == Status.DELIVERED:
        raise AlreadyDelivered(
            "The platform has taken this event.", hint="It can read the order at any time."
        )
    event.since = event.due_at = now()
    event.attempts, event.body = 0, ""
    _move(event, Status.PENDING, "sent again", by=by)
    send_soon(event.platform)
    return event


def forget_events() -> int:
    """Delete what is over for a month; how many."""
    over = UcpOrderEvent.objects.exclude(status=Status.PENDING).filter(at__lt=now() - KEPT_FOR)
    return over.delete()[0]


@transaction.atomic
def _begin(platform: str) -> UcpOrderEvent | None:
    """The next event that is due, counted as tried before it is: one that kills its worker must not do so for ever."""
    earlier = UcpOrderEvent.objects.filter(
        order=OuterRef("order"), status=Status.PENDING, pk__lt=OuterRef("pk")
    )
    pending = UcpOrderEvent.objects.filter(platform=platform, status=Status.PENDING)
    due = pending.filter(~Exists(earlier), due_at__lte=now()).order_by("due_at", "pk")
    event = due.select_for_update().first()
    while event is not None and event.attempts >= _MOST_ATTEMPTS:
        logger.error("order event given up", event_id=str(event.event_id), platform=platform)
        _move(event, Status.GIVEN_UP, f"None of {event.attempts} attempts came to an end.")
        event = due.select_for_update().first()
    if event is not None:
        event.attempts += 1
        event.due_at = now() + _pause(event.attempts)
        event.save(update_fields=["attempts", "due_at"])
    return event


def _tell(event: UcpOrderEvent) -> bool:
    """Whether the platform took it, or wants none."""
    try:
        profile = _profile_now(event.platform)
        active = intersect(profile.capabilities)
        if not profile.webhook_url or ORDER not in active:
            _end(event, Status.UNWANTED, "the platform's profile declares no webhook")
            return True
        with speaking(profile.version if profile.version in VERSIONS else APRIL), negotiated(active):
            body = _fix_body(event)
        _post(profile.webhook_url, event, body)
    except StoreError as failure:
        _note_failure(event, failure)
        return False
    except Exception:  # what breaks with one event must neither stop the others nor go on for ever
        logger.exception("order event broke", event_id=str(event.event_id))
        _note_failure(event, Undelivered("The store could not send it.", hold=False))
        return False
    _end(event, Status.DELIVERED, "")
    # It answers again: what was held back for its sake need not wait any longer.
    if event.attempts > 1:
        held = UcpOrderEvent.objects.filter(platform=event.platform, status=Status.PENDING)
        held.update(due_at=now())
    return True


def _profile_now(platform: str) -> UcpProfile:
    """The profile, fetched again where its time is over; an old one is better than none."""
    row = UcpProfile.objects.filter(profile=platform).first()
    if row is not None and row.fresh_until > now():
        return row
    try:
        return refresh_profile(platform)
    except StoreError:
        if row is None:
            raise
        return row


@transaction.atomic
def _fix_body(event: UcpOrderEvent) -> str:
    locked = UcpOrderEvent.objects.select_for_update().get(pk=event.pk)
    if not locked.body:
        order = load_order(locked.order_id)
        signed = UcpCheckout.objects.values_list("signed", flat=True).get(purchase_id=order.checkout_id)
        locked.body = json.dumps(order_object(order, private=signed), separators=(",", ":"))
        locked.save(update_fields=["body"])
    return locked.body


def _post(url: str, event: UcpOrderEvent, body: str) -> None:
    headers = {
        "Content-Type": "application/json",
        "UCP-Agent": f'profile="{absolute("/.well-known/ucp")}"',
        "Idempotency-Key": str(event.event_id),
    }
    content = body.encode()
    signed = sign_request("POST", url, content=content, headers=headers)
    try:
        status = send(url, content=content, headers=signed, bounds=_BOUNDS, own_networks=not settings.LIVE)
    except StoreError as failure:
        raise Undelivered(failure.message, hold=True) from failure
    if not 200 <= status < 300:
        raise Undelivered(f"It answered with status {status}.", hold=status >= 500 or status in (408, 429))


@transaction.atomic
def _note_failure(event: UcpOrderEvent, failure: StoreError) -> None:
    locked = UcpOrderEvent.objects.select_for_update().get(pk=event.pk)
    if locked.status != Status.PENDING or locked.since != event.since:
        return  # an operator was quicker
    locked.last_error = failure.message[:200]
    if now() - locked.since >= GIVE_UP_AFTER:
        logger.error("order event given up", event_id=str(locked.event_id), platform=locked.platform)
        _move(locked, Status.GIVEN_UP, locked.last_error)
        return
    locked.due_at = now() + _pause(locked.attempts)
    locked.save(update_fields=["last_error", "due_at"])
    if getattr(failure, "hold", True):
        _hold_back(locked.platform, until=locked.due_at, but=locked.pk)


def _hold_back(platform: str, *, until: datetime, but: int) -> None:
    """A platform that is away is asked by one event at a time, with growing pauses, however many there are."""
    others = UcpOrderEvent.objects.filter(platform=platform, status=Status.PENDING).exclude(pk=but)
    others.update(due_at=Greatest("due_at", until))


@transaction.atomic
def _end(event: UcpOrderEvent, to: Status, reason: str) -> None:
    locked = UcpOrderEvent.objects.select_for_update().get(pk=event.pk)
    if locked.status == Status.PENDING:
        locked.last_error = ""
        _move(locked, to, reason)


def _move(event: UcpOrderEvent, to: Status, reason: str, *, by: User | None = None) -> None:
    UcpOrderEventChange.objects.create(
        event=event, from_status=event.status, to_status=to, by=by, reason=reason[:200]
    )
    event.status = to
    if to != Status.PENDING:
        event.body = ""  # holds a name and an address
    event.save()


def _pause(attempts: int) -> timedelta:
    """Five seconds, then three times as long each time, six hours at last."""
    times: int = 3 ** min(attempts - 1, 12)
    return min(_FIRST_RETRY * times, _LAST_RETRY)
