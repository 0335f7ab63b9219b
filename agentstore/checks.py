"""System checks: what is missing or unsafe, each with an id that docs/operations/settings.md explains."""

from __future__ import annotations

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
