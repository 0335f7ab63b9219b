"""`recommend`: the only way onto the shopper's page, and the only one that can earn PPCv."""

from __future__ import annotations

from typing import Any

from agentstore.kit.mcp import Tool
from marketplace.catalog.ucp import objects
from marketplace.gateway.auth import Caller
from marketplace.shopping.models import Recommendation
from marketplace.shopping.recommendations import REASON_LETTERS, ClaimRefused, recommend


def _recommend(caller: Caller, arguments: dict[str, Any]) -> dict[str, Any]:
    outcome = recommend(
        conversation_id=caller.conversation.pk,
        turn_id=caller.turn.pk,
        variant_id=arguments["variant_id"],
        reason=arguments["reason"],
        offer_id=arguments.get("offer_id"),
    )
    if outcome.refusal is not None:
        refusal = outcome.refusal
        raise ClaimRefused(refusal.message, hint=refusal.hint, code=refusal.code)
    return _shown(outcome.recommendation, already=outcome.already)


def _shown(row: Recommendation, *, already: bool) -> dict[str, Any]:
    price = row.price
    return {
        "status": "shown",
        "recommendation_id": str(row.pk),
        "variant_id": f"var_{row.variant_id}",
        "offer_id": f"off_{row.offer_id}",
        "price": objects.price(price) if price else None,
        "already_shown": already,
    }


RECOMMEND_TOOLS = (
    Tool[Caller](
        name="recommend",
        title="Recommend a product",
        description=(
            "Show one product variant to the shopper as a card, with your reason in a sentence. The store "
            "draws the card with its own price, photograph and labels. Refused, with the reason, when the "
            "variant does not exist, is out of stock, costs more than the shopper's limit, or may not be "
            "shown or shipped."
        ),
        input_schema={
            "type": "object",
            "properties": {
                "variant_id": {
                    "type": "string",
                    "maxLength": 200,
                    "description": "var_…, from a catalogue tool",
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 2000,
                    "description": f"Why it suits this shopper; {REASON_LETTERS} characters are shown.",
                },
                "offer_id": {
                    "type": "string",
                    "maxLength": 200,
                    "description": "off_…, to choose one merchant's offer; without it, the best one",
                },
            },
            "required": ["variant_id", "reason"],
            "additionalProperties": False,
        },
        handler=_recommend,
        read_only=False,
    ),
)
