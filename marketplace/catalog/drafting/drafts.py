"""Drafts of descriptions: made, published by a member of the merchant, taken back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import transaction

from agentstore.identity.models import Organization, User
from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Invalid, NotFound
from agentstore.kit.rates import count_call
from agentstore.kit.threads import in_thread
from marketplace.catalog.drafting.facts import Facts, describe, facts_of
from marketplace.catalog.drafting.model import NoDraft, describe_by_model, is_wanted
from marketplace.catalog.drafting.standing import standing_drafts
from marketplace.catalog.feeds.progress import lock_merchant
from marketplace.catalog.models import DescriptionDraft, DescriptionDraftChange, Product
from marketplace.catalog.outbox import announce_products
from marketplace.catalog.texts import product_text, text_hash

LONGEST: Final = 20_000
MODEL_CALLS_PER_MINUTE: Final = 20
Status = DescriptionDraft.Status


class DraftIsOver(Conflict):
    """This draft is no longer in the state that this needs."""

    code = "draft_is_over"


@dataclass(frozen=True, slots=True)
class _Composed:
    text: str
    source: str
    note: str = ""


def product_of(merchant: Organization, product_id: int) -> Product:
    """A product that the merchant describes itself. Raises NotFound for others' and unknown ones alike."""
    found = Product.objects.select_related("category").filter(owner=merchant, pk=product_id).first()
    if found is None:
        raise NotFound("There is no such product.")
    return found


async def make_draft(*, product_id: int, merchant: Organization, by: User) -> DescriptionDraft:
    """Draft a description from the product's data; an open draft of it is discarded. Nothing is published.

    By the operator's language model where it is let and answers soundly in time, else by a template. The model is
    waited for without a thread or a database connection, and asked at most MODEL_CALLS_PER_MINUTE times a minute for
    one merchant. Raises NotFound, TooManyCalls.
    """
    composed = await _compose(await in_thread(_facts, merchant, product_id))
    return await in_thread(_keep, merchant, product_id, composed, by)


def _facts(merchant: Organization, product_id: int) -> Facts:
    facts = facts_of(product_of(merchant, product_id))
    if is_wanted():
        count_call(
            f"drafts:{merchant.pk}",
            per_minute=MODEL_CALLS_PER_MINUTE,
            hint="Read the drafts that you have, and go on in a minute.",
        )
    return facts


async def _compose(facts: Facts) -> _Composed:
    note = ""
    if is_wanted():
        try:
            return _Composed(await describe_by_model(facts), DescriptionDraft.Source.MODEL)
        except NoDraft as none:
            note = none.message
    return _Composed(describe(facts), DescriptionDraft.Source.TEMPLATE, note)


@transaction.atomic
def _keep(merchant: Organization, product_id: int, composed: _Composed, by: User) -> DescriptionDraft:
    product = Product.objects.select_for_update(no_key=True).get(pk=product_id, owner=merchant)
    for open_draft in DescriptionDraft.objects.filter(product=product, status=Status.DRAFT):
        _move(open_draft, to=Status.DISCARDED, by=by, reason="another was asked for")
    draft = DescriptionDraft.objects.create(
        product=product, drafted=composed.text, source=composed.source, note=composed.note,
        model_name=settings.MODEL_NAME[:120] if composed.source == DescriptionDraft.Source.MODEL else "",
    )  # fmt: skip
    DescriptionDraftChange.objects.create(draft=draft, to_status=draft.status, by=by)
    return draft


@transaction.atomic
def publish_draft(*, draft_id: uuid.UUID, merchant: Organization, text: str, by: User) -> DescriptionDraft:
    """Make a draft, as the merchant has left its text, the product's description.

    Raises NotFound, Invalid, DraftIsOver.
    """
    draft, product = _locked(draft_id, merchant)
    if draft.status != Status.DRAFT:
        raise DraftIsOver("This draft is published or discarded already.")
    text = text.replace("\r\n", "\n").strip()
    if not text or len(text) > LONGEST:
        raise Invalid(f"A description has 1 to {LONGEST} characters.")
    standing = standing_drafts([product]).get(product.pk)
    draft.text, draft.before = text, product.description
    draft.fed = standing.fed if standing else product.description
    _describe(product, text)
    return _move(draft, to=Status.PUBLISHED, by=by, reason="" if text == draft.drafted else "with changes")


@transaction.atomic
def discard_draft(*, draft_id: uuid.UUID, merchant: Organization, by: User) -> DescriptionDraft:
    """Let a draft be. Raises NotFound, DraftIsOver."""
    draft, _ = _locked(draft_id, merchant)
    if draft.status != Status.DRAFT:
        raise DraftIsOver("This draft is published or discarded already.")
    return _move(draft, to=Status.DISCARDED, by=by)


@transaction.atomic
def take_back(*, draft_id: uuid.UUID, merchant: Organization, by: User) -> DescriptionDraft:
    """Give a product the description that stood before the draft was published.

    Raises NotFound, and DraftIsOver where the description has changed since.
    """
    draft, product = _locked(draft_id, merchant)
    if draft.status != Status.PUBLISHED:
        raise DraftIsOver("This draft is not published.")
    if product.description != draft.text:
        raise DraftIsOver(
            "The description has changed since.", hint="Change it in your feed, or draft another."
        )
    _describe(product, draft.before)
    return _move(draft, to=Status.UNDONE, by=by)


def _locked(draft_id: uuid.UUID, merchant: Organization) -> tuple[DescriptionDraft, Product]:
    found = DescriptionDraft.objects.filter(pk=draft_id, product__owner=merchant).first()
    if found is None:
        raise NotFound("There is no such draft.")
    # An import that has read the description of before would put it back with the next field it changes.
    lock_merchant(merchant.pk)
    # The product first, as when a draft is made; without its key, since an examination that this change of text has to
    # wait for may be about to refer to the product.
    products = Product.objects.select_for_update(of=("self",), no_key=True).select_related("category")
    product = products.get(pk=found.product_id)
    return DescriptionDraft.objects.select_for_update().get(pk=draft_id), product


def _describe(product: Product, description: str) -> None:
    category = product.category.names if product.category else []
    words = product_text(title=product.title, brand=product.brand, category=category, description=description)
    product.description, product.text_hash, product.updated_at = description, text_hash(words), now()
    product.save(update_fields=["description", "text_hash", "updated_at"])
    announce_products([product.pk])


def _move(draft: DescriptionDraft, *, to: str, by: User, reason: str = "") -> DescriptionDraft:
    DescriptionDraftChange.objects.create(
        draft=draft, from_status=draft.status, to_status=to, by=by, reason=reason
    )
    draft.status = to
    draft.save(update_fields=["status", "text", "before", "fed"])
    return draft
