"""Run tokens: 256 random bits that count from a sandbox's claim to its end, and through its own socket only."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass

import structlog

from agentstore.kit.errors import Unauthenticated
from sandbox.models import Sandbox

log = structlog.get_logger(__name__)
PREFIX = "run_"


class InvalidToken(Unauthenticated):
    """The token is unknown, or belongs to a sandbox that has ended."""

    code = "invalid_run_token"


class NotClaimed(InvalidToken):
    """The token's sandbox is not claimed yet: it serves no conversation."""


class TokenFromElsewhere(Unauthenticated):
    """The token is not the one of the sandbox whose socket it came through: it was carried off."""

    code = "token_from_elsewhere"


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


def sandbox_for(token: str, *, caller: uuid.UUID | None) -> tuple[uuid.UUID, str]:
    """`(sandbox_id, claim_key)` of the claimed sandbox whose token this is, called from that very sandbox.

    `caller` is the sandbox whose socket the call came through, None for no sandbox's. Raises TokenFromElsewhere
    when it is another's token, NotClaimed before its claim, InvalidToken otherwise.
    """
    fields = ("id", "status", "claim_key")
    found = (
        Sandbox.objects.filter(token_hash=digest_of(token)).values_list(*fields).first()
        if _plausible(token)
        else None
    )
    if found is None:
        raise _invalid(InvalidToken)
    sandbox_id, status, claim_key = found
    if sandbox_id != caller:
        log.warning("security.token_from_elsewhere", owner=str(sandbox_id), caller=str(caller))
        raise TokenFromElsewhere(
            "This run token belongs to another sandbox.", hint="Use the one in AGENTSTORE_TOKEN."
        )
    if status in (Sandbox.Status.STARTING, Sandbox.Status.WARM):
        raise _invalid(NotClaimed)
    if status != Sandbox.Status.CLAIMED:
        raise _invalid(InvalidToken)
    return sandbox_id, claim_key


def _invalid(kind: type[InvalidToken]) -> InvalidToken:
    return kind(
        "This run token is not valid now.", hint="A token counts from its conversation's start to its end."
    )


def _plausible(token: str) -> bool:
    return token.startswith(PREFIX) and len(token) <= 64
