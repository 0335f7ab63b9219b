"""Who may act for which organization. Deny by default; a stranger sees "not found"."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.http import HttpRequest

from agentstore.identity.models import Membership, Organization, User
from agentstore.kit.errors import Forbidden, NotFound, Unauthenticated

MANAGERS = frozenset({Membership.Role.OWNER, Membership.Role.ADMIN})


def membership_for(user: Any, slug: str, *, roles: Collection[str] | None = None) -> Membership:
    """The person's membership of an organization of either kind, with its organization.

    Raises NotFound for strangers, Forbidden for a member whose role is too low.
    """
    membership = None
    if getattr(user, "is_authenticated", False):
        memberships = Membership.objects.select_related("organization")
        membership = memberships.filter(organization__slug=slug, user_id=user.pk).first()
    if membership is None:
        raise NotFound("There is no such organization, or you are not a member of it.")
    _require_role(membership, roles)
    return membership


def organization_for(
    user: Any, slug: str, *, kind: str, roles: Collection[str] | None = None
) -> Organization:
    """The organization, if the user is a member with one of the roles (any role when None).

    Raises NotFound for strangers and wrong kinds alike, Forbidden for a member whose role is too low.
    """
    membership = membership_for(user, slug)
    if membership.organization.kind != kind:
        raise NotFound("There is no such organization, or you are not a member of it.")
    _require_role(membership, roles)
    return membership.organization


def _require_role(membership: Membership, roles: Collection[str] | None) -> None:
    if roles is not None and membership.role not in roles:
        raise Forbidden("Your role does not allow this.", hint="Ask an owner of the organization.")


def require_signed_in(user: Any) -> None:
    """Raises Unauthenticated, which pages answer with the sign-in form."""
    if not getattr(user, "is_authenticated", False):
        raise Unauthenticated("Sign in first.")


def require_operator(user: Any) -> None:
    """Raises NotFound unless the user is an operator: the operator's pages do not exist for others."""
    require_signed_in(user)
    if not user.is_staff:
        raise NotFound("There is no such page.")


def signed_in_user(request: HttpRequest) -> User:
    """The person who is signed in. Raises Unauthenticated."""
    if not isinstance(request.user, User):
        raise Unauthenticated("Sign in first.")
    return request.user
