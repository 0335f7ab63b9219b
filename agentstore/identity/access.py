"""Who may act for which organization. Deny by default; a stranger sees "not found"."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from agentstore.identity.models import Membership, Organization
from agentstore.kit.errors import Forbidden, NotFound, Unauthenticated

MANAGERS = frozenset({Membership.Role.OWNER, Membership.Role.ADMIN})


def organization_for(
    user: Any, slug: str, *, kind: str, roles: Collection[str] | None = None
) -> Organization:
    """The organization, if the user is a member with one of the roles (any role when None).

    Raises NotFound for strangers and wrong kinds alike, Forbidden for a member whose role is too low.
    """
    membership = None
    if getattr(user, "is_authenticated", False):
        membership = (
            Membership.objects.select_related("organization")
            .filter(organization__slug=slug, organization__kind=kind, user_id=user.pk)
            .first()
        )
    if membership is None:
        raise NotFound("There is no such organization, or you are not a member of it.")
    if roles is not None and membership.role not in roles:
        raise Forbidden("Your role does not allow this.", hint="Ask an owner of the organization.")
    return membership.organization


def require_signed_in(user: Any) -> None:
    """Raises Unauthenticated, which pages answer with the sign-in form."""
    if not getattr(user, "is_authenticated", False):
        raise Unauthenticated("Sign in first.")


def require_operator(user: Any) -> None:
    """Raises NotFound unless the user is an operator: the operator's pages do not exist for others."""
    require_signed_in(user)
    if not user.is_staff:
        raise NotFound("There is no such page.")
