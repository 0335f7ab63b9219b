"""Platforms that the operator knows: their keys, and whether they are held to sign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from agentstore.kit.errors import Invalid
from agentstore.kit.signatures import AlgorithmUnsupported, Jwk, public_key
from marketplace.shopping.models import UcpPlatform
from marketplace.shopping.ucp.callers import require_https


class InvalidKeys(Invalid):
    """What was entered is no list of public keys."""

    code = "invalid_keys"


@transaction.atomic
def register_platform(*, profile: str, keys: Sequence[Jwk], must_sign: bool = False) -> UcpPlatform:
    """Enter a platform's public keys (JWK, with `kid`), in place of those it had.

    Raises InvalidProfileUrl, InvalidKeys.
    """
    check_keys(keys)
    found, _ = UcpPlatform.objects.update_or_create(
        profile=require_https(profile), defaults={"keys": list(keys), "must_sign": must_sign}
    )
    return found


def check_keys(keys: Any) -> None:
    """Raises InvalidKeys unless all are public keys with names of their own.

    Kinds that are not verified here pass, so that a signature by one can be told from one by no known key.
    """
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise InvalidKeys("This is no list of keys.", hint="Copy it from the platform's profile.")
    kids = [key.get("kid") for key in keys]
    if not all(isinstance(kid, str) and kid for kid in kids) or len(set(kids)) != len(kids):
        raise InvalidKeys("Each key has a kid of its own.", hint="Copy them from the platform's profile.")
    if any("d" in key for key in keys):
        raise InvalidKeys("This is a private key.", hint="Only the public half belongs here.")
    for key in keys:
        if key.get("kty") == "EC" and key.get("crv") == "P-256":
            try:
                public_key(key)
            except AlgorithmUnsupported as broken:
                raise InvalidKeys(f"{key['kid']}: {broken.message}") from broken
