"""Fetching platforms' profiles: seldom, bounded, and never while a database connection waits.

A platform's first request waits for its profile, a few at a time. Afterwards the store goes by what it has: a profile
past its time is used a day longer while a worker fetches it again. Platforms that the operator entered never wait.
"""

from __future__ import annotations

import hashlib
import io
import ipaddress
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Any, Final

import structlog
from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import Exists, OuterRef

from agentstore.kit.clock import now
from agentstore.kit.errors import StoreError, Unavailable
from agentstore.kit.fetch import Bounds, Fetched, FetchFailed, fetch
from agentstore.kit.rates import TooManyCalls, count_call
from agentstore.kit.threads import release_connection
from marketplace.shopping.models import UcpCart, UcpCheckout, UcpPlatform, UcpProfile
from marketplace.shopping.ucp.profile_reading import ProfileMalformed, read_profile

FETCHES_PER_MINUTE: Final = 60
FETCHES_PER_ADDRESS: Final = 10
STALE_FOR: Final = timedelta(hours=24)
_REFRESH: Final = "marketplace.shopping.tasks.refresh_ucp_profile"
_MOST_BYTES: Final = 128_000
_WAIT_SECONDS: Final = 3.0
_WORKER_SECONDS: Final = 10.0
# Within these the origin's max-age counts. UCP sets the floor.
_SHORTEST, _USUAL, _LONGEST = timedelta(seconds=60), timedelta(minutes=5), timedelta(hours=24)
_LONGEST_PAUSE: Final = 3600
_AT_ONCE: Final = 4
_slots = BoundedSemaphore(_AT_ONCE)
_fetchers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ucp-profile")

logger = structlog.get_logger(__name__)


class ProfileUnreachable(StoreError):
    """The platform's profile cannot be had."""

    code = "profile_unreachable"
    status = 424


class DiscoveryBusy(Unavailable):
    """Too many unknown profiles are being fetched already."""

    code = "profile_discovery_busy"


@dataclass(frozen=True, slots=True)
class _Got:
    fetched: Fetched
    content: bytes


def find_profile(platform: str, *, address: str = "") -> UcpProfile | None:
    """What a platform says of itself; None only of one that the operator entered and that was not fetched yet.

    Fetches it when the store does not know the platform; `address` is whose request wants it. Raises
    ProfileUnreachable, ProfileMalformed, DiscoveryBusy, TooManyCalls.
    """
    row = UcpProfile.objects.filter(profile=platform).first()
    if row is not None and row.fresh_until > now():
        return row
    usable = row is not None and row.fresh_until + STALE_FOR > now()
    if usable or UcpPlatform.objects.filter(profile=platform).exists():
        refresh_later(platform)
        return row
    return discover(platform, address=address)


def refresh_later(platform: str) -> None:
    """Have a worker fetch the profile, once a minute at most, and not while it is known to fail."""
    if cache.get(_key("failed", platform)) is None and cache.add(
        _key("asked", platform), 1, timeout=_SHORTEST.total_seconds()
    ):
        transaction.on_commit(
            lambda: current_app.send_task(_REFRESH, args=[platform], expires=60), robust=True
        )


def discover(platform: str, *, address: str = "") -> UcpProfile:
    """Fetch a profile while its platform waits, at most some seconds, and without a database connection.

    `address` is the one that asks: it has a share of the fetches, so that it takes not all of them. Raises
    ProfileUnreachable, ProfileMalformed, DiscoveryBusy, TooManyCalls.
    """
    _require_no_pause(platform)
    if address:
        hint = "Wait for the next minute."
        count_call(f"ucp-discovery:{_line(address)}", per_minute=FETCHES_PER_ADDRESS, hint=hint)
    try:
        count_call("ucp-discovery", per_minute=FETCHES_PER_MINUTE, hint="")
    except TooManyCalls as busy:
        raise _busy() from busy
    etag = _known_etag(platform)
    release_connection()
    slots = _slots
    if not slots.acquire(blocking=False):
        raise _busy()
    try:
        # A thread of its own: resolving a name has no deadline.
        work = _fetchers.submit(_fetch, platform, etag, _WAIT_SECONDS)
    except BaseException:
        slots.release()
        raise
    work.add_done_callback(lambda _: slots.release())
    try:
        return _keep(platform, work.result(timeout=_WAIT_SECONDS + 1))
    except Exception as failure:
        raise _note_failure(platform, failure) from failure


def look_again(platform: str, *, address: str = "") -> bool:
    """Fetch a profile that lacks something, unless that was done within the minute; whether it was.

    Raises ProfileUnreachable, ProfileMalformed, DiscoveryBusy, TooManyCalls.
    """
    if UcpPlatform.objects.filter(profile=platform).exists():
        return False
    fetched_at = UcpProfile.objects.filter(profile=platform).values_list("fetched_at", flat=True).first()
    if fetched_at is None or fetched_at > now() - _SHORTEST:
        return False
    discover(platform, address=address)
    return True


def refresh_profile(platform: str) -> UcpProfile:
    """Fetch a profile from a worker, unless it failed a moment ago; what was known stays.

    Raises ProfileUnreachable, ProfileMalformed.
    """
    _require_no_pause(platform)
    try:
        return _keep(platform, _fetch(platform, _known_etag(platform), _WORKER_SECONDS))
    except Exception as failure:
        raise _note_failure(platform, failure) from failure


def forget_profiles() -> int:
    """Delete profiles that nobody came with for a month, or that made no cart or checkout in a day; how many."""
    unused, _ = UcpProfile.objects.filter(fetched_at__lt=now() - timedelta(days=30)).delete()
    mine = {"platform": OuterRef("profile")}
    idle = UcpProfile.objects.filter(
        ~Exists(UcpCart.objects.filter(**mine)),
        ~Exists(UcpCheckout.objects.filter(**mine)),
        added_at__lt=now() - timedelta(days=1),
    )
    return unused + idle.delete()[0]


def _require_no_pause(platform: str) -> None:
    if (failed := cache.get(_key("failed", platform))) is not None:
        raise _refusal(*failed)


def _known_etag(platform: str) -> str:
    return UcpProfile.objects.filter(profile=platform).values_list("etag", flat=True).first() or ""


def _line(address: str) -> str:
    """What one asker has of addresses: of IPv6, a network of 64 bits."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address) or found.ipv4_mapped:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False))


def _fetch(platform: str, etag: str, seconds: float) -> _Got:
    into = io.BytesIO()
    headers = {"Accept": "application/json", **({"If-None-Match": etag} if etag else {})}
    bounds = Bounds(max_bytes=_MOST_BYTES, seconds=seconds)
    # UCP forbids redirects of profiles.
    fetched = fetch(
        platform, into=into, bounds=bounds, headers=headers, redirects=0, own_networks=not settings.LIVE
    )
    return _Got(fetched, into.getvalue())


def _keep(platform: str, got: _Got) -> UcpProfile:
    at = now()
    told: dict[str, Any] = {"fetched_at": at, "fresh_until": at + _lifetime(got.fetched.cache_control)}
    if got.fetched.status == 200:
        read = read_profile(got.content)
        told |= {
            "version": read.version,
            "capabilities": read.capabilities,
            "keys": read.keys,
            "webhook_url": read.webhook_url,
            "etag": got.fetched.etag,
        }
    elif not UcpProfile.objects.filter(profile=platform).exists():
        raise FetchFailed("It says that nothing has changed, and nothing is known.")
    row, _ = UcpProfile.objects.update_or_create(profile=platform, defaults=told)
    cache.delete_many([_key("failed", platform), _key("failures", platform)])
    return row


def _lifetime(cache_control: str) -> timedelta:
    found = re.search(r"\bmax-age=(\d{1,9})", cache_control.lower())
    if "no-store" in cache_control.lower() or "no-cache" in cache_control.lower():
        return _SHORTEST
    wanted = timedelta(seconds=int(found[1])) if found else _USUAL
    return min(max(wanted, _SHORTEST), _LONGEST)


def _note_failure(platform: str, failure: BaseException) -> StoreError:
    """The refusal, which is given again without a fetch for a while: a minute at first, an hour at last."""
    if isinstance(failure, ProfileMalformed):
        told = (ProfileMalformed.code, failure.message)
    else:
        # Nothing of why: anybody may ask, and the store sees networks that they do not.
        told = (ProfileUnreachable.code, "")
    expected = isinstance(failure, (StoreError, TooLate))
    cache.add(_key("failures", platform), 0, timeout=86_400)
    try:
        times = cache.incr(_key("failures", platform))
    except ValueError:
        times = 1
    pause = min(int(_SHORTEST.total_seconds()) * 2 ** min(times - 1, 10), _LONGEST_PAUSE)
    cache.set(_key("failed", platform), told, timeout=pause)
    logger.log(
        logging.INFO if expected else logging.ERROR,
        "a platform's profile cannot be had",
        platform=platform,
        code=told[0],
        why=failure.message if isinstance(failure, StoreError) else type(failure).__name__,
        pause=pause,
        exc_info=None if expected else failure,
    )
    return _refusal(*told)


def _refusal(code: str, why: str) -> StoreError:
    hint = "It is fetched again in a while."
    if code == ProfileMalformed.code:
        return ProfileMalformed(f"The platform's profile is not readable. {why}", hint=hint)
    return ProfileUnreachable("The platform's profile cannot be fetched.", hint=hint)


def _busy() -> DiscoveryBusy:
    return DiscoveryBusy(
        "Other platforms' profiles are being fetched.", hint="Send it again in a moment.", retry_after=5
    )


def _key(what: str, platform: str) -> str:
    return f"ucp-profile:{what}:{hashlib.sha256(platform.encode()).hexdigest()[:40]}"
