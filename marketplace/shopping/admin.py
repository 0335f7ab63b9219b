"""Shopping in the administration: platforms, what their profiles say, and what they are told of their orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from agentstore.identity.models import User
from agentstore.kit.administration import ReadOnlyAdmin, ReadOnlyInline
from agentstore.kit.errors import Invalid
from marketplace.shopping.models import UcpOrderEvent, UcpOrderEventChange, UcpPlatform, UcpProfile
from marketplace.shopping.ucp.callers import require_https
from marketplace.shopping.ucp.platforms import check_keys, register_platform
from marketplace.shopping.ucp.webhooks import AlreadyDelivered, send_again

T = TypeVar("T")


class PlatformForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """A platform with its public keys."""

    class Meta:
        model = UcpPlatform
        fields = ("profile", "keys", "must_sign")

    def clean_profile(self) -> str:
        """The address of a profile."""
        return _said(lambda: require_https(self.cleaned_data["profile"]))

    def clean_keys(self) -> list[dict[str, Any]]:
        """Public keys."""
        keys = self.cleaned_data["keys"]
        _said(lambda: check_keys(keys))
        return list(keys)


def _said(check: Callable[[], T]) -> T:
    """A refusal of ours in the form's own way."""
    try:
        return check()
    except Invalid as refused:
        raise forms.ValidationError(f"{refused.message} {refused.hint}") from refused


@admin.register(UcpPlatform)
class UcpPlatformAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Entered and changed by the operator; their word goes before what a profile says."""

    form = PlatformForm
    list_display = ("profile", "must_sign", "added_at")
    search_fields = ("profile",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The name stays: carts and checkouts hang on it."""
        return ("profile",) if obj else ()

    def save_model(self, request: HttpRequest, obj: UcpPlatform, form: Any, change: bool) -> None:
        """Through the service, as everywhere."""
        obj.pk = register_platform(profile=obj.profile, keys=obj.keys, must_sign=obj.must_sign).pk


@admin.register(UcpProfile)
class UcpProfileAdmin(ReadOnlyAdmin):
    """What platforms say of themselves, as fetched."""

    list_display = ("profile", "version", "webhook_url", "fetched_at", "fresh_until")
    search_fields = ("profile",)


class ChangeInline(ReadOnlyInline):
    """How an event came to its status."""

    model = UcpOrderEventChange
    fields = ("at", "from_status", "to_status", "reason", "by")


@admin.register(UcpOrderEvent)
class UcpOrderEventAdmin(ReadOnlyAdmin):
    """Orders' events for platforms: what was taken, what waits and why, what was given up."""

    list_display = ("order", "kind", "platform", "status", "attempts", "last_error", "at", "due_at")
    list_filter = ("status", "kind")
    list_select_related = ("order",)
    search_fields = ("platform", "order__number", "=event_id")
    exclude = ("body",)  # holds a name and an address
    inlines = (ChangeInline,)
    actions = ("send_again",)

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Operators who may change events; they are shown to others."""
        return request.user.has_perm("shopping.change_ucporderevent")

    @admin.action(description="Send again", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[UcpOrderEvent]) -> None:
        """Those that were not delivered."""
        sent = 0
        for event_id in queryset.values_list("event_id", flat=True):
            try:
                send_again(event_id=event_id, by=cast(User, request.user))
            except AlreadyDelivered:
                continue
            sent += 1
        self.message_user(request, f"{sent} will be sent again at once.", messages.SUCCESS)
