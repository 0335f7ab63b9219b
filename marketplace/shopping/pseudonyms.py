"""The id by which one agent knows one shopper; no two agents know the same."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid

from django.conf import settings


def pseudonym(*, agent_id: uuid.UUID, shopper_id: uuid.UUID) -> str:
    """`sh_` and 26 letters: HMAC-SHA256 (RFC 2104) over both ids under PSEUDONYM_KEY, its first 128 bits.

    Stable for the pair, and without the key nobody can tell that two pseudonyms are one shopper.
    """
    key = str(settings.PSEUDONYM_KEY).encode()
    digest = hmac.new(key, agent_id.bytes + shopper_id.bytes, hashlib.sha256).digest()
    return "sh_" + base64.b32encode(digest[:16]).decode().rstrip("=").lower()
