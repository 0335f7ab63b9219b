"""What fees were for, told to the money pages: the sponsored cards of a conversation, the order line of a sale."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress

from django.urls import reverse

from agentstore.identity.models import Organization
from billing.charges.words import Reader, Subject
from billing.models import UsageEvent
from marketplace.shopping.merchants.claims import trace_claims
from marketplace.shopping.models import Conversation, OrderLine, Recommendation


def tell_subjects(events: Sequence[UsageEvent], reader: Reader) -> dict[uuid.UUID, list[Subject]]:
    """Each fee's cards or order line, and its conversation where the reader may open it. Shoppers' words never."""
    found = {
        event.pk: _cards(event, reader) + _line(event, reader) + _trace(event, reader) for event in events
    }
    return {event_id: subjects for event_id, subjects in found.items() if subjects}


def _conversation_id(event: UsageEvent) -> uuid.UUID | None:
    with suppress(ValueError):
        return uuid.UUID(event.conversation_ref)
    return None


def _organization(ref: str) -> Organization | None:
    with suppress(ValueError):
        return Organization.objects.filter(pk=uuid.UUID(ref.removeprefix("org:"))).first()
    return None


def _cards(event: UsageEvent, reader: Reader) -> list[Subject]:
    """The sponsored cards of the merchant: the first of them earned the fee."""
    conversation_id, merchant = _conversation_id(event), _organization(event.merchant_ref)
    if event.kind != UsageEvent.Kind.PPCV or conversation_id is None or merchant is None:
        return []
    cards = Recommendation.objects.filter(
        conversation_id=conversation_id,
        merchant_id=merchant.pk,
        status=Recommendation.Status.SHOWN,
        sponsored=True,
    ).order_by("at", "id")
    url = ""
    if reader == "merchant":
        path = reverse("shopping:merchant-recommendations", args=[merchant.slug])
        url = f"{path}?period=all&conversation={conversation_id}"
    return [
        Subject(
            f"{'The sponsored card that earned it' if not number else 'Another card, at no further fee'}:"
            f" {claim.title}, {claim.row.price}",
            f"Shown on {claim.row.at:%-d %b %Y, %H:%M}. The agent said: “{claim.reason}”",
            url,
        )
        for number, claim in enumerate(trace_claims(merchant, cards))
    ]


def _line(event: UsageEvent, reader: Reader) -> list[Subject]:
    """The order line that was taxed; its order is the merchant's to open."""
    kind, _, number = event.line_ref.partition(":")
    if kind != "line" or not number.isdecimal():
        return []
    line = OrderLine.objects.select_related("order__merchant").filter(pk=int(number)).first()
    if line is None or line.order.merchant.ref != event.merchant_ref:
        return []
    url = ""
    if reader == "merchant":
        url = reverse("shopping:merchant-order", args=[line.order.merchant.slug, line.order_id])
    detail = f"Order {line.order.number} of {line.order.placed_at:%-d %b %Y}" if reader == "merchant" else ""
    return [Subject(f"Sold: {line}", detail, url)]


def _trace(event: UsageEvent, reader: Reader) -> list[Subject]:
    """What the agent did in the conversation, for its developer."""
    conversation_id = _conversation_id(event)
    if reader != "developer" or conversation_id is None:
        return []
    conversation = (
        Conversation.objects.select_related("agent__developer", "version").filter(pk=conversation_id).first()
    )
    if conversation is None or conversation.agent.developer.ref != event.developer_ref:
        return []
    url = reverse("shopping:trace", args=[conversation.agent.developer.slug, conversation_id])
    detail = f"{conversation.agent.name} {conversation.version.semver}: its calls, refusals and timings"
    return [Subject("What the agent did", detail, url)]
