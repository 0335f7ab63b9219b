"""Run tokens: 256 random bits that say which sandbox is calling, and nothing once its claim is over."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass

from django.db.models import QuerySet

from agentstore.kit.errors import Unauthenticated
from sandbox.models import Sandbox

PREFIX = "run_"


class InvalidToken(Unauthenticated):
    """The token is unknown, belongs to a sandbox that nobody has claimed yet, or to one that has ended."""

    code = "invalid_run_token"


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A new token: `text` goes into the container and nowhere else, `digest` into the database."""

    text: str
    digest: str


def mint_token() -> MintedToken:
    """A new run token."""
    text = PREFIX + secrets.token_urlsafe(32)
    return MintedToken(text=text, digest=digest_of(text))


def digest_of(token: str) -> str:
    """The SHA-256 under which a token is stored; a fast hash is enough for 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def sandbox_for(token: str) -> tuple[uuid.UUID, str]:
    """`(sandbox_id, claim_key)` of the claimed sandbox whose token this is. Raises InvalidToken."""
    found = _claimed(token).first() if _plausible(token) else None
    if found is None:
        raise InvalidToken(
            "This run token is not valid now.",
            hint="A token counts from its conversation's start to its end.",
        )
    return found


def _plausible(token: str) -> bool:
    return token.startswith(PREFIX) and len(token) <= 64


def _claimed(token: str) -> QuerySet[Sandbox, tuple[uuid.UUID, str]]:
    return Sandbox.objects.filter(token_hash=digest_of(token), status=Sandbox.Status.CLAIMED).values_list(
        "id", "claim_key"
    )
