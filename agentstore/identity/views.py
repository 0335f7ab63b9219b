"""A person's profile, and the organizations that they act for."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from agentstore.identity import invitations, services
from agentstore.identity.access import MANAGERS, membership_for, signed_in_user
from agentstore.identity.forms import InviteForm, OrganizationForm, ProfileForm, RoleForm
from agentstore.identity.models import Membership, Organization
from agentstore.kit.errors import Conflict, Forbidden, Invalid

_HISTORY = 20


@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """What the store calls this person."""
    user = signed_in_user(request)
    form = ProfileForm(request.POST or None, initial={"name": user.name})
    if request.method == "POST" and form.is_valid():
        services.update_profile(user=user, name=form.cleaned_data["name"])
        messages.success(request, "Saved.")
        return redirect("identity:profile")
    return render(request, "identity/profile.html", {"form": form})


@require_http_methods(["GET"])
def organizations(request: HttpRequest) -> HttpResponse:
    """The person's organizations, and the invitations to others."""
    user = signed_in_user(request)
    memberships = Membership.objects.filter(user=user).select_related("organization")
    context = {
        "memberships": memberships.order_by("organization__name"),
        "invitations": invitations.pending_for(user),
    }
    return render(request, "identity/organizations.html", context)


@require_http_methods(["GET", "POST"])
def create_organization(request: HttpRequest) -> HttpResponse:
    """A new organization, owned by whoever makes it."""
    user = signed_in_user(request)
    kinds = Organization.Kind.values
    kind = request.GET.get("kind") if request.GET.get("kind") in kinds else None
    form = OrganizationForm(request.POST or None, initial={"kind": kind} if kind else None)
    if request.method == "POST" and form.is_valid():
        try:
            organization = services.create_organization(owner=user, **form.cleaned_data)
        except (Conflict, Invalid) as refused:
            form.add_error("name", f"{refused.message} {refused.hint}".strip())
        else:
            messages.success(request, f"{organization.name} is ready. Invite the people you work with.")
            return redirect("identity:organization", slug=organization.slug)
    status = 422 if form.is_bound else 200
    return render(request, "identity/organization_new.html", {"form": form}, status=status)


@require_http_methods(["GET", "POST"])
def organization(request: HttpRequest, slug: str) -> HttpResponse:
    """Its members, and for managers: invitations, roles, history."""
    membership = membership_for(signed_in_user(request), slug)
    mine, user, manages = membership.organization, membership.user, membership.role in MANAGERS
    owns = membership.role == Membership.Role.OWNER
    form = InviteForm(request.POST or None, may_invite_owners=owns) if manages else None
    if request.method == "POST":
        if form is None:
            raise Forbidden("Only owners and admins manage members.")
        if form.is_valid():
            try:
                invitations.invite_member(organization=mine, by=user, **form.cleaned_data)
            except Conflict as refused:
                form.add_error("email", f"{refused.message} {refused.hint}".strip())
            else:
                messages.success(request, f"An invitation is on its way to {form.cleaned_data['email']}.")
                return redirect("identity:organization", slug=slug)
    context = {
        "organization": mine,
        "membership": membership,
        "members": mine.memberships.select_related("user").order_by("created_at"),
        "pending": mine.invitations.filter(status="pending") if manages else (),
        "history": mine.membership_events.select_related("user", "by")[:_HISTORY] if manages else (),
        "form": form,
        "manages": manages,
        "roles": [choice for choice in Membership.Role.choices if owns or choice[0] != "owner"],
    }
    status = 422 if form is not None and form.is_bound else 200
    return render(request, "identity/organization.html", context, status=status)


@require_POST
def change_role(request: HttpRequest, slug: str, member: uuid.UUID) -> HttpResponse:
    """Give a member another role."""
    acting = membership_for(signed_in_user(request), slug, roles=MANAGERS)
    held = get_object_or_404(acting.organization.memberships.select_related("user"), user_id=member)
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise Invalid("That is not a role.", hint="Choose owner, admin or member.")
    services.add_member(
        organization=acting.organization, user=held.user, role=form.cleaned_data["role"], by=acting.user
    )
    messages.success(request, f"{held.user} is now {form.cleaned_data['role']}.")
    return redirect("identity:organization", slug=slug)


@require_POST
def remove_member(request: HttpRequest, slug: str, member: uuid.UUID) -> HttpResponse:
    """Remove a member, or leave."""
    acting = membership_for(signed_in_user(request), slug)
    held = get_object_or_404(acting.organization.memberships.select_related("user"), user_id=member)
    services.remove_member(organization=acting.organization, user=held.user, by=acting.user)
    if held.user_id == acting.user_id:
        messages.success(request, f"You left {acting.organization}.")
        return redirect("identity:organizations")
    messages.success(request, f"{held.user} is no longer a member.")
    return redirect("identity:organization", slug=slug)


@require_POST
def withdraw_invitation(request: HttpRequest, slug: str, invitation: uuid.UUID) -> HttpResponse:
    """Take an invitation back."""
    acting = membership_for(signed_in_user(request), slug, roles=MANAGERS)
    closed = invitations.withdraw_invitation(
        invitation_id=invitation, organization=acting.organization, by=acting.user
    )
    messages.success(request, f"The invitation to {closed.email} is withdrawn.")
    return redirect("identity:organization", slug=slug)


@require_POST
def answer_invitation(request: HttpRequest, invitation: uuid.UUID) -> HttpResponse:
    """Accept or decline."""
    accept = request.POST.get("answer") == "accept"
    answered = invitations.answer_invitation(
        invitation_id=invitation, user=signed_in_user(request), accept=accept
    )
    if not accept:
        messages.success(request, "Declined.")
        return redirect("identity:organizations")
    messages.success(request, f"Welcome to {answered.organization}.")
    return redirect("identity:organization", slug=answered.organization.slug)
