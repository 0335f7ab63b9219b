"""What the store keeps of a shopper: given out whole, taken away when they say so."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from marketplace.shopping.conversations import delete_conversation
from marketplace.shopping.models import (
    Conversation,
    Message,
    NegotiationRound,
    Order,
    Recommendation,
    Shopper,
)
from marketplace.shopping.pseudonyms import pseudonym
from marketplace.shopping.turns import stop_turn

FORMAT = "agentstore.shopper-export.v1"


def export_shopper(shopper: Shopper) -> dict[str, Any]:
    """All that is kept of a shopper in this room, JSON-able, amounts in micro-units; the format is FORMAT."""
    conversations = Conversation.objects.filter(shopper=shopper).select_related("agent").order_by("opened_at")
    return {
        "format": FORMAT,
        "shopper": {
            "id": str(shopper.pk), "country": shopper.country, "birth_year": shopper.birth_year,
            "facts": shopper.facts, "since": shopper.created_at.isoformat(),
        },
        "consents": [
            {
                "scope": c.scope, "given_at": c.given_at.isoformat(),
                "withdrawn_at": c.withdrawn_at.isoformat() if c.withdrawn_at else None,
            }
            for c in shopper.consents.order_by("given_at")
        ],
        "conversations": [_conversation(conversation, shopper) for conversation in conversations],
        "cart": [
            {
                "offer": f"off_{line.offer_id}", "quantity": line.quantity,
                "added_at": line.added_at.isoformat(),
            }
            for line in _cart_lines(shopper)
        ],
        "orders": [_order(order) for order in shopper.orders.prefetch_related("lines").order_by("placed_at")],
    }  # fmt: skip


def _cart_lines(shopper: Shopper) -> Any:
    cart = getattr(shopper, "cart", None)
    return cart.lines.all() if cart is not None else ()


def _conversation(conversation: Conversation, shopper: Shopper) -> dict[str, Any]:
    messages = Message.objects.filter(conversation=conversation).order_by("at")
    shown = Recommendation.objects.filter(
        conversation=conversation, status=Recommendation.Status.SHOWN
    ).order_by("at")
    rounds = NegotiationRound.objects.filter(negotiation__conversation=conversation).select_related(
        "negotiation"
    )
    return {
        "id": str(conversation.pk),
        "agent": conversation.agent.slug,
        "known_to_the_agent_as": pseudonym(agent_id=conversation.agent_id, shopper_id=shopper.pk),
        "opened_at": conversation.opened_at.isoformat(),
        "status": conversation.status,
        "consents": conversation.consents,
        "limits": conversation.limits,
        "messages": [
            {"from": m.role, "text": m.text, "masked": m.masked, "at": m.at.isoformat()} for m in messages
        ],
        "shown": [
            {
                "variant": f"var_{row.variant_id}", "price_micros": row.price_micros,
                "currency": row.currency,
                "reason": row.reason, "sponsored": row.sponsored, "disclosure": row.disclosure,
                "at": row.at.isoformat(),
            }
            for row in shown
        ],
        "negotiated": [
            {
                "offer": f"off_{row.negotiation.offer_id}", "quantity": row.quantity, "argument": row.argument,
                "proposed_micros": row.proposed_micros, "answer": row.kind, "currency": row.currency,
                "answered_micros": row.answered_micros, "price_micros": row.price_micros,
                "at": row.at.isoformat(),
            }
            for row in rounds
        ],
    }  # fmt: skip


def _order(order: Order) -> dict[str, Any]:
    return {
        "number": order.number, "status": order.status, "placed_at": order.placed_at.isoformat(),
        "currency": order.currency, "total_micros": order.total_micros, "ship_to": order.ship_to,
        "lines": [
            {"title": line.title, "quantity": line.quantity, "unit_price_micros": line.unit_price_micros}
            for line in order.lines.all()
        ],
    }  # fmt: skip


def delete_conversations(*, shopper: Shopper) -> int:
    """Take away all that was said, whoever it was said to; a running answer is stopped. How many
    conversations.

    Orders stay, since merchants must keep them; what was recommended stays as a record without words or
    shopper.
    """
    rows = list(Conversation.objects.filter(shopper=shopper))
    for conversation in rows:
        stop_turn(conversation=conversation)
        with transaction.atomic():
            delete_conversation(conversation=conversation)
    return len(rows)
