"""Prices that merchants let agents ask for: a rule's terms, the rounds played by them, and the rules themselves
(docs/algorithms/negotiation.md).
"""

from marketplace.shopping.negotiation.rounds import (
    Answer,
    Kind,
    answer_round,
    asked_in,
    least_quantity,
    lowest,
)
from marketplace.shopping.negotiation.terms import Break, InvalidTerms, Terms

__all__ = [
    "Answer",
    "Break",
    "InvalidTerms",
    "Kind",
    "Terms",
    "answer_round",
    "asked_in",
    "least_quantity",
    "lowest",
]
