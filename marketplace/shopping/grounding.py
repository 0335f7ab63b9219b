"""Whether an agent's claim may become a card: every rule of it, in one pure function
(docs/algorithms/grounding.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agentstore.kit.money import Money
from marketplace.catalog.offers import OfferFact
from marketplace.shopping.constraints import Constraints

CARDS_PER_TURN = 6


class Code(StrEnum):
    """Why a claim is refused. Documented in docs/guides/tools.md."""

    MALFORMED_ID = "malformed_id"
    UNKNOWN_VARIANT = "unknown_variant"
    WITHHELD = "withheld"
    NOT_FOR_SALE = "not_for_sale"
    OUT_OF_STOCK = "out_of_stock"
    OTHER_CURRENCY = "other_currency"
    OVER_LIMIT = "over_limit"
    AGE_RESTRICTED = "age_restricted"
    NOT_SHIPPABLE = "not_shippable"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Grounded:
    """The claim holds. The price is the fact's; there is no other."""

    fact: OfferFact

    @property
    def price(self) -> Money:
        """What the card shows and the cart takes."""
        return self.fact.price


@dataclass(frozen=True, slots=True)
class Refusal:
    """The claim does not hold: a code, what is wrong, and what an agent can do about it."""

    code: str
    message: str
    hint: str


def ground(
    fact: OfferFact | None, constraints: Constraints, *, shown_this_turn: int, agreed: Money | None = None
) -> Grounded | Refusal:
    """Test a claim against what the platform itself read. The first rule that fails is the answer.

    `agreed` is what the merchant agreed to for one piece in this conversation: it counts for the shopper's limit.
    """
    if fact is None:
        return Refusal(
            Code.UNKNOWN_VARIANT, "There is no offer for this variant in the catalogue.",
            "Recommend a variant_id that search_catalog, lookup_catalog or get_product returned.",
        )  # fmt: skip
    if fact.withheld:
        return Refusal(
            Code.WITHHELD, "This product is withheld from the store.", "Recommend another product."
        )
    if not fact.active:
        return Refusal(
            Code.NOT_FOR_SALE, "This offer is not for sale now.",
            "Search again; results hold only what can be bought.",
        )  # fmt: skip
    if fact.stock <= 0:
        return Refusal(
            Code.OUT_OF_STOCK, "This variant is out of stock.", "Recommend another variant of the product."
        )
    if constraints.country and fact.ships_to and constraints.country not in fact.ships_to:
        return Refusal(
            Code.NOT_SHIPPABLE, "This offer is not shipped to the shopper's country.",
            f"Search with ships_to {constraints.country}.",
        )  # fmt: skip
    if fact.min_age > 0 and (constraints.age is None or constraints.age < fact.min_age):
        return Refusal(
            Code.AGE_RESTRICTED, f"This product is for people of {fact.min_age} years and over.",
            "Recommend something without an age limit.",
        )  # fmt: skip
    if fact.price.currency != constraints.currency:
        return Refusal(
            Code.OTHER_CURRENCY, f"The shopper pays in {constraints.currency}.",
            f"Search with currency {constraints.currency}.",
        )  # fmt: skip
    price = fact.price if agreed is None else agreed
    if constraints.max_price is not None and price > constraints.max_price:
        return Refusal(
            Code.OVER_LIMIT, f"It costs more than the shopper's limit of {constraints.max_price}.",
            f"Search with a price up to {constraints.max_price}.",
        )  # fmt: skip
    if shown_this_turn >= CARDS_PER_TURN:
        return Refusal(
            Code.TOO_MANY, f"A turn shows at most {CARDS_PER_TURN} cards.",
            "Choose the best; the shopper can ask for more.",
        )  # fmt: skip
    return Grounded(fact)
