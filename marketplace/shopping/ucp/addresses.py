"""Addresses that platforms give: https everywhere but on a developer's own machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from django.conf import settings


def is_platform_address(url: str) -> bool:
    """Whether the store would speak to it: https, or outside of live mode plain http to FETCH_ALLOWED_NETWORKS."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or "\0" in url:
        return False
    if parts.scheme == "https":
        return True
    return parts.scheme == "http" and not settings.LIVE and _is_own(host)


def _is_own(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(text) for text in settings.FETCH_ALLOWED_NETWORKS)
