"""People and organizations for operators. Memberships are shown here and changed by their organizations."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from agentstore.identity.models import Invitation, Membership, MembershipEvent, Organization, User
from agentstore.kit.administration import ReadOnlyInline

# Operators sign in like everybody, so that their second factor is asked for.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # allauth's documented way
admin.site.unregister(Group)


class MembershipInline(ReadOnlyInline):
    """Who belongs to an organization, or to which ones a person belongs."""

    model = Membership
    fields = ("organization", "user", "role", "created_at")


class MembershipEventInline(ReadOnlyInline):
    """How that came to be."""

    model = MembershipEvent
    fk_name = "organization"
    fields = ("at", "user", "kind", "role", "by")


class InvitationInline(ReadOnlyInline):
    """Offers to join."""

    model = Invitation
    fk_name = "organization"
    fields = ("email", "role", "status", "invited_by", "created_at", "closed_at")


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc,type-arg]  # unfold ships no types
    """People, who sign in by e-mail."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    ordering = ("email",)
    list_display = ("email", "name", "is_staff", "is_active", "date_joined")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_fields = ("email", "name")
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ("user_permissions",)
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)
    inlines = (MembershipInline,)


@admin.register(Organization)
class OrganizationAdmin(ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Developer studios and merchants."""

    list_display = ("name", "kind", "country", "slug", "created_at")
    list_filter = ("kind", "country")
    search_fields = ("name", "slug")
    readonly_fields = ("kind", "slug", "created_at")
    inlines = (MembershipInline, InvitationInline, MembershipEventInline)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """An organization begins with its owner: people make their own."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Agents, offers and books refer to it."""
        return False
