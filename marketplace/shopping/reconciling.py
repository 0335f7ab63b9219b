"""What billing's fees are for, for its daily reconciliation: conversations, cards, credited order lines.

`settings.USAGE_SOURCES` names it; billing asks, and knows nothing else of this room.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from django.db.models import Q

from agentstore.identity.models import Membership, MembershipEvent, reference
from agentstore.kit.money import Money
from billing.models import UsageEvent
from billing.reconciliation.sources import Missing, Shown, Sold
from marketplace.catalog.offers import read_offers
from marketplace.shopping.models import Attribution, Conversation, OrderLine, Recommendation, RefundLine

_BATCH = 1_000
_Kind = UsageEvent.Kind


class ShoppingSource:
    """Conversations with shoppers, their cards, and what was bought from them."""

    def find_missing(self, events: Sequence[UsageEvent]) -> dict[uuid.UUID, Missing]:
        """A conversation's fee needs the conversation and a shown card of the merchant; a tax its credited line."""
        fees = [event for event in events if event.kind == _Kind.PPCV]
        taxes = [event for event in events if event.kind == _Kind.AGENT_TAX]
        returns = [event for event in events if event.kind == _Kind.TAX_REVERSAL]
        return {**_without_card(fees), **_without_line(taxes), **_without_refund(returns)}

    def shown_between(self, since: datetime, until: datetime) -> Iterator[Sequence[Shown]]:
        """The cards of conversations with shoppers; rehearsals earn nothing."""
        cards = Recommendation.objects.filter(
            status=Recommendation.Status.SHOWN,
            at__gte=since,
            at__lt=until,
            conversation__purpose=Conversation.Purpose.SHOPPING,
        ).select_related("conversation__agent", "conversation__shopper")
        found = list(cards.order_by("pk")[:_BATCH])
        while found:
            yield _shown(found)
            found = list(cards.filter(pk__gt=found[-1].pk).order_by("pk")[:_BATCH])

    def sold_between(self, since: datetime, until: datetime) -> Iterator[Sequence[Sold]]:
        """The credited lines of orders that were paid then."""
        credits = Attribution.objects.filter(at__gte=since, at__lt=until, line__order__paid_at__isnull=False)
        credits = credits.select_related("line__order").order_by("pk")
        found = list(credits[:_BATCH])
        while found:
            yield [
                Sold(
                    it.line.ref, str(it.conversation_id), Money(it.line.total_micros, it.line.order.currency)
                )
                for it in found
            ]
            found = list(credits.filter(pk__gt=found[-1].pk)[:_BATCH])


def _ids(refs: Iterable[str]) -> set[uuid.UUID]:
    found = set()
    for ref in refs:
        with suppress(ValueError):
            found.add(uuid.UUID(ref))
    return found


def _without_card(fees: list[UsageEvent]) -> dict[uuid.UUID, Missing]:
    wanted = _ids(event.conversation_ref for event in fees)
    held = {str(pk) for pk in Conversation.objects.filter(pk__in=wanted).values_list("pk", flat=True)}
    cards = Recommendation.objects.filter(conversation__in=wanted, status=Recommendation.Status.SHOWN)
    shown = {
        (str(conversation_id), reference(merchant_id))
        for conversation_id, merchant_id in cards.values_list("conversation_id", "merchant_id")
        if merchant_id is not None
    }
    missing = {}
    for event in fees:
        if event.conversation_ref not in held:
            missing[event.pk] = Missing("no_conversation")
        elif (event.conversation_ref, event.merchant_ref) not in shown:
            missing[event.pk] = Missing("no_card", f"conversation {event.conversation_ref}")
    return missing


def _line_ids(events: list[UsageEvent]) -> dict[uuid.UUID, int]:
    found = {}
    for event in events:
        kind, _, number = event.line_ref.partition(":")
        if kind == "line" and number.isdecimal() and len(number) < 19:
            found[event.pk] = int(number)
    return found


def _without_line(taxes: list[UsageEvent]) -> dict[uuid.UUID, Missing]:
    ids = _line_ids(taxes)
    lines = OrderLine.objects.select_related("order", "attribution").in_bulk(set(ids.values()))
    missing = {}
    for event in taxes:
        line = lines.get(ids.get(event.pk, 0))
        credit = getattr(line, "attribution", None)
        if line is None or credit is None:
            missing[event.pk] = Missing("no_line", event.line_ref)
        elif line.total_micros != event.base_micros:
            missing[event.pk] = Missing("other_line", "its amount", line.total_micros, event.base_micros)
        elif str(credit.conversation_id) != event.conversation_ref:
            missing[event.pk] = Missing("other_line", f"credited to conversation {credit.conversation_id}")
        elif reference(line.order.merchant_id) != event.merchant_ref:
            missing[event.pk] = Missing("other_line", f"of {reference(line.order.merchant_id)}")
    return missing


def _without_refund(returns: list[UsageEvent]) -> dict[uuid.UUID, Missing]:
    """A return names its refund in its key; what a bank took back is a dispute, which billing itself compares."""
    ids = _line_ids(returns)
    wanted = {event.pk: event.idempotency_key.split(":") for event in returns}
    refunds = _ids(parts[2] for parts in wanted.values() if len(parts) > 2 and parts[1] == "refund")
    rows = RefundLine.objects.filter(refund__in=refunds).values_list("refund_id", "line_id", "amount_micros")
    refunded = {(str(refund_id), line_id): micros for refund_id, line_id, micros in rows}
    missing = {}
    for event in returns:
        parts = wanted[event.pk]
        if parts[1:2] == ["dispute"]:
            continue
        micros = refunded.get((parts[2] if len(parts) > 2 else "", ids.get(event.pk, 0)))
        if micros is None:
            missing[event.pk] = Missing("no_refund", event.line_ref)
        elif micros != -event.base_micros:
            missing[event.pk] = Missing("no_refund", "of another amount", -micros, event.base_micros)
    return missing


def _shown(cards: list[Recommendation]) -> list[Shown]:
    """One a conversation and merchant: the last, labelled if any of them was."""
    facts = read_offers(offer_ids={card.offer_id for card in cards if card.offer_id is not None})
    own = _own_people(cards)
    found: dict[tuple[uuid.UUID, uuid.UUID], Shown] = {}
    for card in cards:
        fact = facts.get(card.offer_id or 0)
        conversation = card.conversation
        if card.merchant_id is None or not conversation.price_version_ref:
            continue
        key = (card.conversation_id, card.merchant_id)
        before = found.get(key)
        person = conversation.shopper.user_id if conversation.shopper else None
        found[key] = Shown(
            conversation_ref=str(card.conversation_id),
            merchant_ref=reference(card.merchant_id),
            category=fact.category if fact else "",
            price_version_id=uuid.UUID(conversation.price_version_ref),
            at=card.at,
            labelled=card.sponsored or (before is not None and before.labelled),
            # Of a conversation that its shopper deleted nobody knows whose it was.
            earning=conversation.shopper is not None and (person, conversation.agent.developer_id) not in own,
        )
    return list(found.values())


def _own_people(cards: list[Recommendation]) -> set[tuple[object, object]]:
    """Who talked to an agent of an organization that they are, or ever were, a member of."""
    people = {card.conversation.shopper.user_id for card in cards if card.conversation.shopper}
    theirs = Q(user_id__in={person for person in people if person is not None})
    pairs = set(Membership.objects.filter(theirs).values_list("user_id", "organization_id"))
    return pairs | set(MembershipEvent.objects.filter(theirs).values_list("user_id", "organization_id"))
