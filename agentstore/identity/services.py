"""Writes to organizations and their members. Every change of a membership leaves a MembershipEvent.

Owners and admins manage members; only an owner makes, changes or removes an owner. An organization
always keeps one.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from agentstore.identity.access import MANAGERS
from agentstore.identity.models import Membership, MembershipEvent, Organization, User
from agentstore.kit.errors import Conflict, Forbidden, Invalid, NotFound

Role = Membership.Role
# Addresses under /organizations/ that are pages of their own.
RESERVED_SLUGS = frozenset({"new"})


class LastOwner(Conflict):
    """The change would leave the organization without an owner."""

    code = "last_owner"


@transaction.atomic
def create_organization(*, kind: str, name: str, owner: User, country: str = "US") -> Organization:
    """A new organization with its first owner. Raises Invalid for a nameless one, Conflict when taken."""
    slug = slugify(name)[:60].strip("-")
    if not slug or slug in RESERVED_SLUGS:
        raise Invalid("This name can't be used: it needs letters or digits, and more than “new”.")
    try:
        with transaction.atomic():
            organization = Organization.objects.create(
                kind=Organization.Kind(kind), name=name.strip(), slug=slug, country=country
            )
    except IntegrityError as taken:
        raise Conflict(
            f"There is an organization called “{name.strip()}” already.", hint="Choose another name."
        ) from taken
    membership = Membership.objects.create(organization=organization, user=owner, role=Role.OWNER)
    _record(membership, MembershipEvent.Kind.JOINED, by=owner)
    return organization


@transaction.atomic
def add_member(*, organization: Organization, user: User, role: str, by: User) -> Membership:
    """Give a person a role, new or instead of the one they have.

    Raises Forbidden unless `by` may grant it (owners any, admins all but owner), LastOwner when it would
    take the role from the only owner.
    """
    role = Role(role)
    members = _lock_members(organization)
    held = members.get(user.pk)
    _require_power(members, by, over={role} | ({Role(held.role)} if held else set()))
    if held is not None and held.role == role:
        return held
    return grant(organization=organization, user=user, role=role, by=by)


@transaction.atomic
def grant(*, organization: Organization, user: User, role: str, by: User) -> Membership:
    """Set a role that was allowed before, as an accepted invitation's was. Raises LastOwner."""
    role = Role(role)
    members = _lock_members(organization)
    held = members.get(user.pk)
    if held is None:
        held = Membership.objects.create(organization=organization, user=user, role=role)
        _record(held, MembershipEvent.Kind.JOINED, by=by)
    elif held.role != role:
        _require_other_owner(members, held)
        held.role = role
        held.save(update_fields=["role"])
        _record(held, MembershipEvent.Kind.ROLE_CHANGED, by=by)
    return held


@transaction.atomic
def remove_member(*, organization: Organization, user: User, by: User) -> None:
    """End a membership: a manager's decision, or one's own.

    Raises Forbidden for strangers and for admins against owners, NotFound for somebody who is no member,
    LastOwner for the only owner.
    """
    members = _lock_members(organization)
    if by.pk != user.pk:
        held = members.get(user.pk)
        _require_power(members, by, over={Role(held.role)} if held else {Role.MEMBER})
    elif user.pk not in members:
        raise Forbidden("You are not a member of this organization.")
    if user.pk not in members:
        raise NotFound("That person is not a member.")
    held = members[user.pk]
    _require_other_owner(members, held)
    left = MembershipEvent.Kind.LEFT if by.pk == user.pk else MembershipEvent.Kind.REMOVED
    _record(held, left, by=by)
    held.delete()


@transaction.atomic
def update_profile(*, user: User, name: str) -> User:
    """Change what pages call a person."""
    user.name = name.strip()
    user.save(update_fields=["name"])
    return user


def _lock_members(organization: Organization) -> dict[object, Membership]:
    """The memberships by user, locked through their organization, so that two owners can't leave at once."""
    Organization.objects.select_for_update().get(pk=organization.pk)
    return {membership.user_id: membership for membership in organization.memberships.all()}


def _require_power(members: dict[object, Membership], by: User, *, over: set[Role]) -> None:
    acting = members.get(by.pk)
    if acting is None or acting.role not in MANAGERS:
        raise Forbidden("Only owners and admins manage members.")
    if Role.OWNER in over and acting.role != Role.OWNER:
        raise Forbidden("Only an owner makes, changes or removes an owner.", hint="Ask an owner.")


def _require_other_owner(members: dict[object, Membership], held: Membership) -> None:
    owners = [membership for membership in members.values() if membership.role == Role.OWNER]
    if held.role == Role.OWNER and len(owners) == 1:
        raise LastOwner("An organization keeps at least one owner.", hint="Make somebody else owner first.")


def _record(membership: Membership, kind: MembershipEvent.Kind, *, by: User) -> None:
    MembershipEvent.objects.create(
        organization_id=membership.organization_id,
        user_id=membership.user_id,
        kind=kind,
        role=membership.role,
        by=by,
    )
