"""The catalogue in the administration: operators look, and withhold products for a reason that is kept."""

from __future__ import annotations

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.forms import ActionForm

from agentstore.kit.administration import ReadOnlyAdmin
from marketplace.catalog.models import Category, FeedImport, Offer, Product
from marketplace.catalog.products import restore_product, withhold_product


class ReasonForm(ActionForm):  # type: ignore[misc]  # unfold has no types
    """An action with its reason."""

    reason = forms.CharField(required=False, max_length=500, label="Reason")


@admin.register(Product)
class ProductAdmin(ReadOnlyAdmin):
    """Products, and the two decisions that an operator has about them."""

    list_display = ("public_id", "title", "brand", "category", "owner", "status", "min_age")
    list_filter = ("status",)
    list_select_related = ("category", "owner")
    search_fields = ("title", "group_id")
    action_form = ReasonForm
    actions = ("withhold", "restore")

    @admin.action(description="Withhold from search and sale")
    def withhold(self, request: HttpRequest, products: QuerySet[Product]) -> None:
        """Take the chosen products out of the store."""
        self._decide(request, products, withhold=True)

    @admin.action(description="Let back into the catalogue")
    def restore(self, request: HttpRequest, products: QuerySet[Product]) -> None:
        """Put the chosen products back."""
        self._decide(request, products, withhold=False)

    def _decide(self, request: HttpRequest, products: QuerySet[Product], *, withhold: bool) -> None:
        reason = request.POST.get("reason", "").strip()
        if not reason:
            self.message_user(request, "Give the reason; it is kept.", messages.ERROR)
            return
        decide = withhold_product if withhold else restore_product
        for product in products:
            # The administration admits staff only, so `request.user` is an operator.
            decide(product_id=product.pk, by=request.user, reason=reason)  # type: ignore[arg-type]
        self.message_user(request, "Done.", messages.SUCCESS)


@admin.register(Offer)
class OfferAdmin(ReadOnlyAdmin):
    """Offers as they are now."""

    list_display = ("public_id", "variant", "merchant", "price", "stock", "reserved", "active", "updated_at")
    list_filter = ("active",)
    list_select_related = ("variant", "merchant")
    search_fields = ("variant__item_id", "variant__product__title")


@admin.register(Category)
class CategoryAdmin(ReadOnlyAdmin):
    """The tree of goods."""

    list_display = ("path", "slug")
    search_fields = ("path",)


@admin.register(FeedImport)
class FeedImportAdmin(ReadOnlyAdmin):
    """Imports and how they went."""

    list_display = (
        "filename", "merchant", "status", "accepted", "changed", "unchanged", "refused", "created_at",
    )  # fmt: skip
    list_filter = ("status",)
    list_select_related = ("merchant",)
