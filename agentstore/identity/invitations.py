"""Invitations: membership is offered to an address, and begins when whoever verified it accepts."""

from __future__ import annotations

import uuid

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse

from agentstore.identity.access import MANAGERS
from agentstore.identity.models import Invitation, Membership, Organization, User
from agentstore.identity.services import grant
from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Forbidden, NotFound
from agentstore.kit.mail import build_message

Status = Invitation.Status


def pending_for(user: User) -> QuerySet[Invitation]:
    """The invitations that a person can answer: to addresses that they have verified."""
    verified = EmailAddress.objects.filter(user=user, verified=True)
    addresses = [address.email.lower() for address in verified]
    return Invitation.objects.filter(status=Status.PENDING, email__in=addresses).select_related(
        "organization", "invited_by"
    )


@transaction.atomic
def invite_member(*, organization: Organization, email: str, role: str, by: User) -> Invitation:
    """Offer a role to an address, and mail it; a second offer replaces the first.

    Whether anybody has an account with that address stays unsaid.
    Raises Forbidden unless `by` may grant the role, Conflict when somebody with that address is a member.
    """
    email, role = email.strip().lower(), Membership.Role(role)
    _require_may_offer(organization, role, by)
    if organization.memberships.filter(user__email=email).exists():
        raise Conflict(f"{email} is a member already.", hint="Change the role in the list of members.")
    Organization.objects.select_for_update().get(pk=organization.pk)
    organization.invitations.filter(email=email, status=Status.PENDING).update(
        status=Status.WITHDRAWN, closed_by=by, closed_at=now()
    )
    invitation = Invitation.objects.create(organization=organization, email=email, role=role, invited_by=by)
    transaction.on_commit(lambda: _send(invitation), robust=True)
    return invitation


@transaction.atomic
def answer_invitation(*, invitation_id: uuid.UUID, user: User, accept: bool) -> Invitation:
    """Accept or decline. Raises NotFound when it is closed or not this person's, Forbidden when whoever
    invited may no longer grant the role."""
    invitation = pending_for(user).select_for_update(of=("self",)).filter(pk=invitation_id).first()
    if invitation is None:
        raise NotFound("There is no such invitation.", hint="It may have been withdrawn: ask for a new one.")
    if accept:
        _require_may_offer(invitation.organization, Membership.Role(invitation.role), invitation.invited_by)
        if not invitation.organization.memberships.filter(user=user).exists():
            grant(
                organization=invitation.organization,
                user=user,
                role=invitation.role,
                by=invitation.invited_by,
            )
    return _close(invitation, Status.ACCEPTED if accept else Status.DECLINED, by=user)


@transaction.atomic
def withdraw_invitation(*, invitation_id: uuid.UUID, organization: Organization, by: User) -> Invitation:
    """Take an offer back. Raises Forbidden for others than managers, NotFound when it is closed."""
    if not organization.memberships.filter(user=by, role__in=MANAGERS).exists():
        raise Forbidden("Only owners and admins manage members.")
    pending = organization.invitations.select_for_update().filter(status=Status.PENDING)
    invitation = pending.filter(pk=invitation_id).first()
    if invitation is None:
        raise NotFound("There is no such invitation.")
    return _close(invitation, Status.WITHDRAWN, by=by)


def _close(invitation: Invitation, status: Status, *, by: User) -> Invitation:
    invitation.status, invitation.closed_by, invitation.closed_at = status, by, now()
    invitation.save(update_fields=["status", "closed_by", "closed_at"])
    return invitation


def _require_may_offer(organization: Organization, role: Membership.Role, by: User) -> None:
    held = organization.memberships.filter(user=by).first()
    if held is None or held.role not in MANAGERS:
        raise Forbidden("Only owners and admins manage members.")
    if role == Membership.Role.OWNER and held.role != Membership.Role.OWNER:
        raise Forbidden("Only an owner invites an owner.", hint="Ask an owner.")


def _send(invitation: Invitation) -> None:
    text = (
        f"{invitation.invited_by.get_short_name()} invites you to join {invitation.organization.name} "
        f"as {invitation.get_role_display().lower()}. Sign in with this address to accept or decline:\n\n"
        f"{settings.SITE_URL}{reverse('identity:organizations')}\n\n"
        "If you do not know them, do nothing."
    )
    build_message(
        subject=f"Join {invitation.organization.name} on the Agent Store",
        text=text,
        to=[invitation.email],
        action="See the invitation",
    ).send()
