"""System checks: what is missing or unsafe, each with an id that docs/operations/settings.md explains."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


@register()
def live_mode_is_safe(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """In live mode everything that is only for a developer's machine is an error."""
    if not settings.LIVE:
        return []
    found: list[CheckMessage] = []
    if len(settings.SECRET_KEY) < 50:
        found.append(
            Error(
                "SECRET_KEY is missing or short.",
                hint="Set 50 random characters or more.",
                id="agentstore.E001",
            )
        )
    if settings.DEBUG:
        found.append(Error("DEBUG is on in live mode.", hint="Unset DEBUG.", id="agentstore.E002"))
    if not settings.SITE_URL.startswith("https://"):
        found.append(Error("SITE_URL is not https.", hint="Serve the store over TLS.", id="agentstore.E003"))
    if not settings.STRIPE_API_KEY or not settings.STRIPE_WEBHOOK_SECRET:
        found.append(
            Error(
                "Stripe's key or webhook secret is missing.",
                hint="Set STRIPE_API_KEY and STRIPE_WEBHOOK_SECRET.",
                id="agentstore.E004",
            )
        )
    if not settings.STRIPE_API_BASE.startswith("https://"):
        found.append(
            Error(
                "STRIPE_API_BASE points to a stand-in in live mode.",
                hint="Unset STRIPE_API_BASE.",
                id="agentstore.E005",
            )
        )
    if settings.PSEUDONYM_KEY == settings.SECRET_KEY:
        found.append(
            Warning(
                "PSEUDONYM_KEY is not set apart from SECRET_KEY.",
                hint="Set it, so that the secret key can be rotated.",
                id="agentstore.W001",
            )
        )
    return found


@register()
def proxies_are_named(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Who is believed about a caller's address: limits and sessions go by it (uvicorn's FORWARDED_ALLOW_IPS)."""
    named = settings.FORWARDED_ALLOW_IPS
    if named is None:
        if not settings.BEHIND_PROXY or not settings.LIVE:
            return []
        return [
            Warning(
                "The store is behind a proxy, and nobody says which: only one on this machine is believed.",
                hint="Set FORWARDED_ALLOW_IPS to its addresses, or all its callers count as one.",
                id="agentstore.W002",
            )
        ]
    if "*" in named:
        return [
            Warning(
                "Everybody is believed about the address that a call is from.",
                hint="Set FORWARDED_ALLOW_IPS to the addresses of your proxies.",
                id="agentstore.W003",
            )
        ]
    return [
        Error(
            f"FORWARDED_ALLOW_IPS has {entry!r} in it, which is no address and no network: it is not believed.",
            hint="Write addresses such as 10.0.0.5 or networks such as 10.0.0.0/24, with commas between.",
            id="agentstore.E007",
        )
        for entry in named
        if not _is_network(entry)
    ]


def _is_network(entry: str) -> bool:
    try:
        ipaddress.ip_network(entry.strip())
    except ValueError:
        return False
    return True


@register()
def socket_path_is_short(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A Unix socket's path has at most 107 bytes (unix(7))."""
    longest = len(str(settings.RUN_DIR / "sandboxes" / ("0" * 32) / "agent.sock"))
    if longest <= 107:
        return []
    return [
        Error(
            "AGENTSTORE_RUN_DIR is too long for Unix sockets.",
            hint="Choose a path of at most 50 bytes.",
            id="agentstore.E006",
        )
    ]


@register()
def niceness_is_in_bounds(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Below 0 a process would go before all others, which only root may."""
    if 0 <= settings.PATIENT_NICENESS <= 19:
        return []
    return [Error("PATIENT_NICENESS is out of bounds.", hint="Set it to 0 to 19.", id="agentstore.E008")]
