"""Access tokens: what programs of an organization show instead of a person's session.

A token is 256 random bits, shown once; only its SHA-256 is stored, which is enough for a secret that nobody can guess.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from datetime import timedelta
from typing import Final

from django.db import transaction

from agentstore.identity.access import MANAGERS
from agentstore.identity.models import AccessToken, Membership, Organization, User
from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Forbidden, NotFound, Unauthenticated

PREFIX: Final = "agst_"
MOST_TOKENS: Final = 20
_NOTED_EVERY: Final = timedelta(minutes=1)


class TooManyTokens(Conflict):
    """An organization has as many tokens as it may."""

    code = "too_many_tokens"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _require_manager(organization: Organization, by: User) -> None:
    if not Membership.objects.filter(organization=organization, user=by, role__in=MANAGERS).exists():
        raise Forbidden("Only owners and admins manage access tokens.")


@transaction.atomic
def issue_token(*, organization: Organization, by: User, name: str) -> tuple[AccessToken, str]:
    """A new token and its secret, which cannot be read again. Raises Forbidden, TooManyTokens."""
    _require_manager(organization, by)
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if AccessToken.objects.filter(organization=organization, revoked_at=None).count() >= MOST_TOKENS:
        raise TooManyTokens(f"There are at most {MOST_TOKENS} tokens.", hint="Revoke one first.")
    secret = PREFIX + secrets.token_urlsafe(32)
    token = AccessToken.objects.create(
        organization=organization, name=name[:80], digest=_digest(secret), start=secret[:10], issued_by=by
    )
    return token, secret


@transaction.atomic
def revoke_token(*, token_id: uuid.UUID, organization: Organization, by: User) -> AccessToken:
    """End a token at once; revoked twice is revoked once. Raises Forbidden, NotFound for another's."""
    _require_manager(organization, by)
    token = AccessToken.objects.select_for_update().filter(pk=token_id, organization=organization).first()
    if token is None:
        raise NotFound("There is no such token.")
    if token.revoked_at is None:
        token.revoked_at, token.revoked_by = now(), by
        token.save(update_fields=["revoked_at", "revoked_by"])
    return token


def organization_by_token(authorization: str, *, kind: str) -> Organization:
    """Whom an `Authorization: Bearer …` header speaks for. Raises Unauthenticated for all that is not good."""
    scheme, _, secret = authorization.partition(" ")
    found = None
    if scheme.lower() == "bearer" and secret.startswith(PREFIX):
        found = (
            AccessToken.objects.select_related("organization")
            .filter(digest=_digest(secret.strip()), revoked_at=None, organization__kind=kind)
            .first()
        )
    if found is None:
        raise Unauthenticated(
            "No valid access token came with this request.", hint="Send “Authorization: Bearer agst_…”."
        )
    if found.used_at is None or found.used_at < now() - _NOTED_EVERY:
        AccessToken.objects.filter(pk=found.pk).update(used_at=now())
    return found.organization
