"""What an agent would get: a negotiation played to its end against the rule that counts now. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agentstore.identity.models import Organization
from agentstore.kit.clock import now
from agentstore.kit.errors import NotFound
from agentstore.kit.money import Money
from marketplace.catalog.offers import OfferFact, read_offers
from marketplace.shopping.models import NegotiationRule
from marketplace.shopping.negotiation.rounds import Answer, Kind, answer_round, lowest
from marketplace.shopping.negotiation.rules import PassedOver, rule_for


@dataclass(frozen=True, slots=True)
class Course:
    """A negotiation in which the agent proposes the same in every round, and what came of it.

    `lowest` is the floor, for the merchant alone. Without a rule, or by one that gives nothing, there are no answers:
    the price stands.
    """

    fact: OfferFact
    quantity: int
    proposed: Money
    rule: NegotiationRule | None
    passed_over: list[PassedOver]
    answers: list[Answer]
    lowest: Money

    @property
    def final(self) -> Money:
        """What one piece would cost in the end."""
        offered = self.answers[-1].price if self.answers else None
        return self.fact.price if offered is None else offered

    @property
    def saved(self) -> Money:
        """What all pieces together come to less than at the offer's own price."""
        return (self.fact.price - self.final) * self.quantity

    @property
    def off(self) -> float:
        """What is off the price, as a share of it."""
        return 1 - self.final.micros / self.fact.price.micros

    @property
    def accepted(self) -> bool:
        """Whether the proposal itself was taken."""
        return bool(self.answers) and self.answers[-1].kind == Kind.ACCEPT


def simulate(
    *, merchant: Organization, offer_id: int, quantity: int, proposed: Money, at: datetime | None = None
) -> Course:
    """Play a negotiation over one of the merchant's own offers, as it stands now. Raises NotFound, Invalid."""
    fact = read_offers(offer_ids=[offer_id]).get(offer_id)
    if fact is None or fact.merchant_id != merchant.pk:
        raise NotFound("There is no such offer.")
    rule, passed = rule_for(fact, at=at or now())
    if rule is None or rule.terms.gives_nothing:
        return Course(fact, quantity, proposed, rule, passed, [], fact.price)
    terms = rule.terms
    answers: list[Answer] = []
    while not answers or (answers[-1].kind == Kind.COUNTER and answers[-1].rounds_left):
        answers.append(
            answer_round(
                terms, price=fact.price, quantity=quantity, proposed=proposed, round_number=len(answers) + 1
            )
        )
    floor = lowest(terms, price=fact.price, quantity=quantity)
    return Course(fact, quantity, proposed, rule, passed, answers, floor)
