"""One round of a negotiation: a proposal and the merchant's answer, by the rule's terms alone. Pure.

A linear concession, the simplest of the time-dependent tactics in Faratin, Sierra and Jennings, "Negotiation decision
functions for autonomous agents" (1998): what is asked in a round hangs on the round, never on what was proposed, so no
sequence of proposals tells where the floor is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agentstore.kit.errors import Invalid
from agentstore.kit.money import PPM, CurrencyMismatch, Money, exponent
from marketplace.shopping.negotiation.terms import Terms


class Kind(StrEnum):
    """What the merchant's rule says to a proposal."""

    ACCEPT = "accept"
    COUNTER = "counter"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one proposal. `price` is what one piece would cost now, None for a no; `rounds_left` how many
    more proposals are heard.
    """

    kind: Kind
    price: Money | None
    rounds_left: int


def lowest(terms: Terms, *, price: Money, quantity: int) -> Money:
    """The floor for one of so many pieces: by percentage and by amount, whichever is higher, and never above the price.

    Rounded up to the currency's minor unit, so that rounding gives nothing away. Raises CurrencyMismatch.
    """
    by_rate = _up(price, PPM - terms.off_for(quantity))
    if terms.floor is None:
        return min(price, by_rate)
    if terms.floor.currency != price.currency:
        raise CurrencyMismatch("The rule's lowest price is in another currency than the offer.")
    return min(price, max(by_rate, _up(terms.floor, PPM)))


def asked_in(terms: Terms, *, price: Money, quantity: int, round_number: int) -> Money:
    """What the merchant asks for one piece in a round, from 1: a step less in each, down to the floor."""
    off = min(PPM, terms.step_ppm * round_number)
    return min(price, max(lowest(terms, price=price, quantity=quantity), _up(price, PPM - off)))


def least_quantity(terms: Terms, *, price: Money, quantity: int, agreed: Money, round_number: int) -> int:
    """The fewest pieces, at most `quantity`, that this round would have given at the agreed price as well: an agent
    that asks for many gets a discount for many, not for one.
    """
    fewer = (1, *(each.quantity for each in terms.breaks if each.quantity <= quantity))
    return next(
        (
            some
            for some in fewer
            if asked_in(terms, price=price, quantity=some, round_number=round_number) <= agreed
        ),
        quantity,
    )


def answer_round(terms: Terms, *, price: Money, quantity: int, proposed: Money, round_number: int) -> Answer:
    """Accept what is at least asked in this round, at the proposed price but no more than the offer's; else counter.

    `price` is the offer's own price of one piece, `proposed` what an agent proposes for one of `quantity`, and
    `round_number` counts from 1. Beyond the rule's rounds the answer is no. Raises Invalid, CurrencyMismatch.
    """
    if quantity < 1 or round_number < 1 or proposed.micros <= 0:
        raise Invalid("A proposal is a price above zero for at least one piece.")
    left = max(0, terms.rounds - round_number)
    if round_number > terms.rounds:
        return Answer(Kind.NO, None, left)
    asked = asked_in(terms, price=price, quantity=quantity, round_number=round_number)
    difference = proposed - asked
    if difference.micros >= 0:
        return Answer(Kind.ACCEPT, min(proposed, price), left)
    return Answer(Kind.COUNTER, asked, left)


def _up(price: Money, ppm: int) -> Money:
    unit = 10 ** (6 - exponent(price.currency))
    return Money(-(-price.micros * ppm // (PPM * unit)) * unit, price.currency)
