"""Writes to people and organizations."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from agentstore.identity.access import MANAGERS
from agentstore.identity.models import Membership, Organization, User
from agentstore.kit.errors import Conflict, Forbidden, Invalid


@transaction.atomic
def create_organization(*, kind: str, name: str, owner: User, country: str = "US") -> Organization:
    """A new organization with its first owner. Raises Invalid for a nameless one, Conflict when taken."""
    slug = slugify(name)[:60]
    if not slug:
        raise Invalid("An organization needs a name with letters or digits in it.")
    try:
        with transaction.atomic():
            organization = Organization.objects.create(
                kind=Organization.Kind(kind), name=name.strip(), slug=slug, country=country
            )
    except IntegrityError as taken:
        raise Conflict(
            f"There is an organization called “{name}” already.", hint="Choose another name."
        ) from taken
    Membership.objects.create(organization=organization, user=owner, role=Membership.Role.OWNER)
    return organization


@transaction.atomic
def add_member(*, organization: Organization, user: User, role: str, by: User) -> Membership:
    """Give a person a role. Raises Forbidden unless `by` manages the organization."""
    if not organization.memberships.filter(user=by, role__in=MANAGERS).exists():
        raise Forbidden("Only owners and admins add members.")
    membership, _ = Membership.objects.update_or_create(
        organization=organization, user=user, defaults={"role": Membership.Role(role)}
    )
    return membership


@transaction.atomic
def remove_member(*, organization: Organization, user: User, by: User) -> None:
    """End a membership. Raises Forbidden for strangers, Conflict for the last owner."""
    if by.pk != user.pk and not organization.memberships.filter(user=by, role__in=MANAGERS).exists():
        raise Forbidden("Only owners and admins remove members.")
    owners = organization.memberships.select_for_update().filter(role=Membership.Role.OWNER)
    if [owner.user_id for owner in owners] == [user.pk]:
        raise Conflict("An organization keeps at least one owner.", hint="Make somebody else owner first.")
    organization.memberships.filter(user=user).delete()
