"""What agents claimed about a merchant's products: shown or refused, and why, without the shopper's words."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, QuerySet

from agentstore.identity.models import Organization
from agentstore.kit.ids import MalformedId, parse_public_id
from marketplace.catalog.models import Offer, Variant
from marketplace.shopping.agent_logs import without_words
from marketplace.shopping.grounding import Code
from marketplace.shopping.masking import mask
from marketplace.shopping.merchants.periods import Period
from marketplace.shopping.models import Conversation, Message, Recommendation
from marketplace.shopping.recommendations import PAUSED

_WORD: Final = re.compile(r"\w+")
# Stands for a word in a message that is the product's own; no agent writes it.
_OWN: Final = "_0_"


@dataclass(frozen=True, slots=True)
class Explained:
    """A refusal for a merchant: what it means and what can be done about it."""

    words: str
    hint: str


REFUSALS: Final = {
    Code.WITHHELD: Explained("The store withholds the product.", "Ask the store's operator why."),
    Code.NOT_FOR_SALE: Explained(
        "The offer was switched off or outside its dates.", "Switch it on, or give it new dates in your feed."
    ),
    Code.OUT_OF_STOCK: Explained("It was out of stock.", "Raise its stock, by hand or by feed."),
    Code.NOT_SHIPPABLE: Explained(
        "You do not ship it to the shopper's country.", "Name more countries in ships_to, or none for all."
    ),
    Code.AGE_RESTRICTED: Explained(
        "It has an age limit, and the shopper's age is lower or not known.", "Nothing, if the limit is right."
    ),
    Code.OTHER_CURRENCY: Explained("The shopper pays in another currency.", "Nothing: a store sells in one."),
    Code.OVER_LIMIT: Explained(
        "It cost more than the shopper wanted to spend.", "See whether agents lose you many sales so."
    ),
    Code.TOO_MANY: Explained(
        "The agent had shown as many cards as it may.", "Nothing: the agent must choose."
    ),
    PAUSED: Explained(
        "Your budget for conversations was used up, and you chose to pause.",
        "Raise the budget under Billing.",
    ),
}


@dataclass(frozen=True, slots=True)
class TracedClaim:
    """A claim as its merchant reads it. `offer` is the merchant's own offer of the variant, if it still has one."""

    row: Recommendation
    title: str
    offer: Offer | None
    reason: str
    refusal: Explained | None


def claims_of(
    merchant: Organization,
    period: Period,
    *,
    status: str = "",
    agent_id: uuid.UUID | None = None,
    code: str = "",
    conversation_id: uuid.UUID | None = None,
) -> QuerySet[Recommendation]:
    """The claims about a merchant's offers in conversations with shoppers, the newest first."""
    rows = Recommendation.objects.filter(
        merchant_id=merchant.pk, at__gte=period.since, at__lt=period.until,
        conversation__purpose=Conversation.Purpose.SHOPPING,
    )  # fmt: skip
    if status:
        rows = rows.filter(status=status)
    if agent_id is not None:
        rows = rows.filter(conversation__agent_id=agent_id)
    if code:
        rows = rows.filter(refusal=code)
    if conversation_id is not None:
        rows = rows.filter(conversation_id=conversation_id)
    return rows.select_related("conversation__agent").order_by("-at", "-id")


def refusal_counts(claims: QuerySet[Recommendation]) -> list[tuple[str, Explained, int]]:
    """How many of the claims were refused for each reason, the commonest first."""
    rows = claims.filter(status=Recommendation.Status.REFUSED).order_by()
    counted = rows.values_list("refusal").annotate(number=Count("id"))
    return [
        (code, explain(code), number) for code, number in sorted(counted, key=lambda row: (-row[1], row[0]))
    ]


def explain(code: str) -> Explained:
    """A refusal in words; one that is not known stands for itself."""
    return REFUSALS.get(code) or Explained(f"Refused: {code}.", "")


def trace_claims(merchant: Organization, rows: Iterable[Recommendation]) -> list[TracedClaim]:
    """Claims with their products, and their reasons without what shoppers said; three queries for all."""
    rows = list(rows)
    ids = {row.pk: _variant_id(row) for row in rows}
    variants = Variant.objects.select_related("product__category").in_bulk(set(filter(None, ids.values())))
    offers = {
        offer.variant_id: offer
        for offer in Offer.objects.filter(merchant=merchant, variant__in=variants.values())
    }
    said = _said({row.conversation_id for row in rows})
    return [
        TracedClaim(
            row=row,
            title=_title(variants.get(ids[row.pk] or 0)) or row.claimed_variant,
            offer=offers.get(ids[row.pk] or 0),
            reason=readable_reason(
                row.reason,
                said=said.get(row.conversation_id, ()),
                own=_own_words(variants.get(ids[row.pk] or 0)),
            ),
            refusal=explain(row.refusal) if row.refusal else None,
        )
        for row in rows
    ]


def readable_reason(reason: str, *, said: Sequence[str], own: frozenset[str]) -> str:
    """A reason without personal data and without what stands in the messages `said`.

    The product's `own` words, casefolded, may stand: they are the merchant's, whoever says them.
    """

    def foreign(message: str) -> str:
        return _WORD.sub(lambda word: _OWN if word[0].casefold() in own else word[0], message)

    return mask(without_words(reason, map(foreign, said))).text


def _variant_id(row: Recommendation) -> int | None:
    if row.variant_id is not None:
        return row.variant_id
    with suppress(MalformedId):
        return parse_public_id("var", row.claimed_variant)
    return None


def _title(variant: Variant | None) -> str:
    if variant is None:
        return ""
    return f"{variant.product.title}, {variant.title}" if variant.title else variant.product.title


def _own_words(variant: Variant | None) -> frozenset[str]:
    if variant is None:
        return frozenset()
    product = variant.product
    texts = [product.title, product.brand, product.category.path if product.category else "", variant.title]
    return frozenset(word.casefold() for text in texts for word in _WORD.findall(text))


def _said(conversation_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    said = dict[uuid.UUID, list[str]]()
    messages = Message.objects.filter(conversation_id__in=conversation_ids, role=Message.Role.SHOPPER)
    for conversation_id, text in messages.values_list("conversation_id", "text"):
        said.setdefault(conversation_id, []).append(text)
    return said
