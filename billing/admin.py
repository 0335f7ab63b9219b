"""Money in the administration: to be looked at, never edited. Corrections are new journals."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from agentstore.kit.administration import ReadOnlyAdmin
from billing.models import (
    Account,
    BillingParty,
    Journal,
    MerchantBudget,
    PriceVersion,
    UsageEvent,
    WebhookEvent,
)


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    """Accounts of the ledger."""

    list_display = ("owner_ref", "kind", "currency", "opened_at")
    list_filter = ("kind", "currency")
    search_fields = ("owner_ref",)


@admin.register(Journal)
class JournalAdmin(ReadOnlyAdmin):
    """Journals of the ledger."""

    list_display = ("idempotency_key", "kind", "occurred_at", "posted_at")
    list_filter = ("kind",)
    search_fields = ("idempotency_key",)
    exclude = ("content_sha256",)


@admin.register(PriceVersion)
class PriceVersionAdmin(ReadOnlyAdmin):
    """Price versions."""

    list_display = ("name", "status", "announced_at", "effective_at")


@admin.register(UsageEvent)
class UsageEventAdmin(ReadOnlyAdmin):
    """Metered usage."""

    list_display = ("idempotency_key", "kind", "status", "amount_micros", "currency", "occurred_at")
    list_filter = ("kind", "status")
    search_fields = ("idempotency_key", "conversation_ref", "line_ref")


@admin.register(MerchantBudget)
class MerchantBudgetAdmin(ReadOnlyAdmin):
    """Merchants' caps."""

    list_display = ("merchant_ref", "period", "cap_micros", "spent_micros", "at_cap")
    search_fields = ("merchant_ref",)


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin):
    """The processor's events."""

    list_display = ("external_id", "type", "received_at", "handled_at", "attempts")
    list_filter = ("type",)
    search_fields = ("external_id",)


@admin.register(BillingParty)
class BillingPartyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Whom invoices are for. Whether one is taxed is all that operators set: its proof is seen first."""

    list_display = ("name", "owner_ref", "country", "tax_exempt")
    list_filter = ("tax_exempt", "country")
    search_fields = ("name", "owner_ref", "email")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """All but `tax_exempt`."""
        return [field.name for field in BillingParty._meta.fields if field.name != "tax_exempt"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Merchants enter themselves."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Invoices name it."""
        return False
