"""A merchant's rules: which one counts for an offer, and their changes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from agentstore.identity.models import Organization, User
from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, NotFound
from marketplace.catalog.models import Category, Offer, Product
from marketplace.catalog.offers import OfferFact
from marketplace.catalog.slugs import slugs_along
from marketplace.shopping.models import NegotiationRule, NegotiationRuleChange
from marketplace.shopping.negotiation.terms import Terms


class RuleExists(Conflict):
    """There is a rule for this already."""

    code = "rule_exists"


Target = Offer | Product | Category


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A rule that would count but for a reason, in a sentence."""

    rule: NegotiationRule
    why: str


def rules_of(merchant: Organization) -> QuerySet[NegotiationRule]:
    """All of a merchant's rules, the last changed first."""
    return NegotiationRule.objects.filter(merchant=merchant).select_related(
        "offer__variant__product", "product", "category"
    )


def rule_of(merchant: Organization, rule_id: uuid.UUID) -> NegotiationRule:
    """One of a merchant's own rules. Raises NotFound for others' and unknown ones alike."""
    found = rules_of(merchant).filter(pk=rule_id).first()
    if found is None:
        raise NotFound("There is no such rule.")
    return found


def rule_for(fact: OfferFact, *, at: datetime) -> tuple[NegotiationRule | None, list[PassedOver]]:
    """The rule that counts for an offer now, and the more special ones that do not.

    The most special first: the offer's, its product's, its category's from the leaf to the root. One that is off, out
    of its times or short of stock is passed over.
    """
    passed: list[PassedOver] = []
    for rule in _by_specialty(fact):
        why = rule.terms.closed(at=at, stock=fact.stock) if rule.active else "It is switched off."
        if not why:
            return rule, passed
        passed.append(PassedOver(rule, why))
    return None, passed


def _by_specialty(fact: OfferFact) -> Sequence[NegotiationRule]:
    slugs = slugs_along(fact.category_path)[::-1]
    rules = NegotiationRule.objects.filter(
        Q(offer_id=fact.offer_id) | Q(product_id=fact.product_id) | Q(category__slug__in=slugs),
        merchant_id=fact.merchant_id,
    ).select_related("category", "product", "offer__variant__product")

    def place(rule: NegotiationRule) -> int:
        if rule.category is not None:
            return 2 + slugs.index(rule.category.slug)
        return 0 if rule.scope == "offer" else 1

    return sorted(rules, key=place)


@transaction.atomic
def add_rule(
    *, merchant: Organization, target: Target, terms: Terms, active: bool, by: User, reason: str = ""
) -> NegotiationRule:
    """A rule for one of the merchant's own offers or products, or a category. Raises NotFound, RuleExists."""
    if isinstance(target, Offer) and target.merchant_id != merchant.pk:
        raise NotFound("There is no such offer.")
    if (
        isinstance(target, Product)
        and not Offer.objects.filter(merchant=merchant, variant__product=target).exists()
    ):
        raise NotFound("You offer no such product.")
    scope = type(target).__name__.lower()
    try:
        with transaction.atomic():
            rule = NegotiationRule.objects.create(
                merchant=merchant, active=active, **{scope: target}, **_columns(terms)
            )
    except IntegrityError as twice:
        raise RuleExists(f"There is a rule for this {scope} already.", hint="Change that one.") from twice
    _note(rule, by=by, reason=reason)
    return rule


@transaction.atomic
def change_rule(
    *, rule_id: uuid.UUID, merchant: Organization, terms: Terms, active: bool, by: User, reason: str = ""
) -> NegotiationRule:
    """Give a rule other terms, or switch it; what it is for stays. Raises NotFound."""
    rule = NegotiationRule.objects.select_for_update().filter(pk=rule_id, merchant=merchant).first()
    if rule is None:
        raise NotFound("There is no such rule.")
    for name, value in _columns(terms).items():
        setattr(rule, name, value)
    rule.active, rule.updated_at = active, now()
    rule.save()
    _note(rule, by=by, reason=reason)
    return rule


def _note(rule: NegotiationRule, *, by: User, reason: str) -> None:
    NegotiationRuleChange.objects.create(
        rule=rule, terms=rule.terms.as_json(), active=rule.active, by=by, reason=reason[:200]
    )


def _columns(terms: Terms) -> dict[str, Any]:
    return {
        "off_ppm": terms.off_ppm, "step_ppm": terms.step_ppm, "rounds": terms.rounds,
        "floor_micros": terms.floor.micros if terms.floor else None,
        "currency": terms.floor.currency if terms.floor else settings.STORE_CURRENCY,
        "breaks": [[b.quantity, b.off_ppm] for b in terms.breaks],
        "valid_from": terms.valid_from, "valid_to": terms.valid_to,
        "from_hour": terms.from_hour, "to_hour": terms.to_hour, "least_stock": terms.least_stock,
    }  # fmt: skip
