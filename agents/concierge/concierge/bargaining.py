"""Asks a merchant for a better price, when the shopper wants that."""

from __future__ import annotations

from dataclasses import dataclass

from agentstore_sdk import Refused, Store

from concierge.candidates import Candidate

# Of the price, in per cent: what is proposed first.
_OPENING = 70
# A rule has ten rounds at most; its last word is taken in one more.
_MOST_PROPOSALS = 11
_ARGUMENT = "The shopper asked for a better price."


@dataclass(frozen=True)
class Bargain:
    """What came of it, for one piece in minor units: what was agreed on, or else the least that was asked.

    Neither where the merchant does not negotiate.
    """

    candidate: Candidate
    agreed: int | None = None
    asked: int | None = None


def bargain(store: Store, candidate: Candidate, *, most: int | None, quantity: int) -> Bargain:
    """Play the merchant's rounds, and take its last word where that is a better price and within the limit.

    What a merchant asks hangs on the round alone: low proposals cost nothing, and the last round asks least.
    """
    proposed = max(1, candidate.price * _OPENING // 100)
    if most is not None:
        proposed = min(proposed, most)
    asked = None
    for _ in range(_MOST_PROPOSALS):
        try:
            heard = store.negotiate(
                candidate.variant.offer_id, proposed, quantity=quantity, argument=_ARGUMENT
            )
        except Refused:
            break
        price = int(heard["price"]["amount"])
        if heard["answer"] == "accept":
            return Bargain(candidate, agreed=price)
        asked = price
        last = not heard["rounds_left"]
        if last and (asked >= candidate.price or (most is not None and asked > most)):
            break
        # The same proposal would have the same answer.
        proposed = asked if last else proposed + 1
    return Bargain(candidate, asked=asked)
