"""`negotiate`: one round against a merchant's rule. Nothing in the answer tells how low it would go."""

from __future__ import annotations

from typing import Any

from agentstore.kit.ids import public_id
from agentstore.kit.mcp import Tool
from marketplace.catalog.ucp import objects
from marketplace.gateway.auth import Caller
from marketplace.shopping.carts import MOST_OF_ONE
from marketplace.shopping.models import NegotiationRound, Quote
from marketplace.shopping.negotiation.negotiating import ARGUMENT_LETTERS, Heard, Proposal, negotiate

_MOST_MINOR = 10**12


def _negotiate(caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
    heard = negotiate(
        conversation_id=caller.conversation.pk,
        turn_id=caller.turn.pk,
        proposal=Proposal(
            offer_id=arguments["offer_id"],
            amount_minor=int(arguments["proposed_amount"]),
            quantity=int(arguments.get("quantity", 1)),
            argument=arguments.get("argument", ""),
            key=arguments.get("idempotency_key", ""),
        ),
    )
    return _answered(heard)


def _answered(heard: Heard) -> dict[str, Any]:
    row = heard.round
    return {
        "answer": row.kind,
        "round": row.number,
        "rounds_left": row.rounds_left,
        "offer_id": public_id("off", heard.fact.offer_id),
        "quantity": row.quantity,
        "price": objects.price(row.answered),
        "price_before": objects.price(row.price),
        "quote": _quote(heard.quote),
        "hint": _hint(row, heard.quote),
        "already_heard": heard.already,
    }


def _quote(quote: Quote | None) -> dict[str, Any] | None:
    if quote is None:
        return None
    return {
        "id": str(quote.pk),
        "least_quantity": quote.least_quantity,
        "quantity": quote.quantity,
        "expires_at": quote.expires_at.isoformat(),
    }


def _hint(row: NegotiationRound, quote: Quote | None) -> str:
    if quote is not None and quote.is_over:
        return "This price was used, or has expired: the cart takes it no more."
    if row.kind == NegotiationRound.Kind.ACCEPT:
        return "The shopper's cart takes this price by itself, once, until it expires."
    if row.rounds_left:
        return "Propose this price to take it, or another one to go on."
    return "The merchant's last word: propose this price for the same quantity to take it."


NEGOTIATE_TOOLS = (
    Tool[Caller](
        name="negotiate",
        title="Negotiate a price",
        description=(
            "Propose a price of one piece to the merchant of an offer. The merchant's rule accepts it or counters; "
            "an accepted price holds for the shopper of this conversation until it expires. Rounds are few. "
            "Refused, with the reason, when the merchant does not negotiate the offer or hears no more proposals."
        ),
        input_schema={
            "type": "object",
            "properties": {
                "offer_id": {
                    "type": "string",
                    "maxLength": 200,
                    "description": "off_…, from a catalogue tool",
                },
                "proposed_amount": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": _MOST_MINOR,
                    "description": "For one piece, in minor units (cents) of the shopper's currency",
                },
                "quantity": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MOST_OF_ONE,
                    "default": 1,
                    "description": "How many pieces; many may cost less each",
                },
                "argument": {
                    "type": "string",
                    "maxLength": ARGUMENT_LETTERS,
                    "description": "Why, in a sentence: the shopper reads it, the answer never depends on it",
                },
                "idempotency_key": {
                    "type": "string",
                    "maxLength": 80,
                    "description": "The same key again is the same round",
                },
            },
            "required": ["offer_id", "proposed_amount"],
            "additionalProperties": False,
        },
        handler=_negotiate,
        read_only=False,
    ),
)
