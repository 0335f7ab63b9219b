"""The tokens that one conversation may take from the operator's model server: reserved, then settled."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Greatest

from marketplace.gateway.errors import BudgetSpent
from marketplace.shopping.models import Conversation

_LETTERS_PER_TOKEN = 4
_ANSWER_TOKENS = 1024


def estimate(body_bytes: int, asked: dict[str, Any]) -> int:
    """Tokens that a request may cost at most, roughly: its own size, and the answer that it allows."""
    limits = (asked.get(key) for key in ("max_completion_tokens", "max_tokens", "max_output_tokens"))
    allowed = next((limit for limit in limits if isinstance(limit, int) and limit > 0), _ANSWER_TOKENS)
    ceiling: int = settings.MODEL_TOKENS_PER_CONVERSATION
    return body_bytes // _LETTERS_PER_TOKEN + min(allowed, ceiling)


def reserve(*, conversation_id: uuid.UUID, tokens: int) -> None:
    """Take tokens from the budget before asking. Raises BudgetSpent when that many are not left."""
    left = settings.MODEL_TOKENS_PER_CONVERSATION - tokens
    taken = Conversation.objects.filter(pk=conversation_id, model_tokens__lte=left).update(
        model_tokens=F("model_tokens") + tokens
    )
    if not taken:
        raise BudgetSpent(
            f"Of this conversation's {settings.MODEL_TOKENS_PER_CONVERSATION} model tokens too few are left.",
            hint="Send less, ask for a shorter answer, or answer without the model.",
        )


def settle(*, conversation_id: uuid.UUID, reserved: int, used: int) -> None:
    """Put back what was reserved and not used; a request that used more takes it."""
    Conversation.objects.filter(pk=conversation_id).update(
        model_tokens=Greatest(F("model_tokens") - reserved + used, 0)
    )


def used_tokens(answer: Any) -> int | None:
    """The total in an OpenAI-compatible answer's `usage`, None when it has none."""
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict) and isinstance(answer, dict) and isinstance(answer.get("response"), dict):
        usage = answer["response"].get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) and total >= 0 else None
