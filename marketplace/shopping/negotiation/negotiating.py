"""An agent's proposal, answered by the merchant's rule and recorded (docs/algorithms/negotiation.md)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from django.conf import settings
from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Refused
from agentstore.kit.ids import MalformedId, parse_public_id
from agentstore.kit.money import Money
from marketplace.catalog.offers import OfferFact, read_offers
from marketplace.catalog.ucp import objects
from marketplace.shopping import events
from marketplace.shopping.conversations import constraints_in_force
from marketplace.shopping.events import Name
from marketplace.shopping.grounding import Code, Refusal, ground
from marketplace.shopping.models import Conversation, Negotiation, NegotiationRound, NegotiationRule, Quote
from marketplace.shopping.negotiation.rounds import Answer, Kind, answer_round, least_quantity
from marketplace.shopping.negotiation.rules import rule_for
from marketplace.shopping.negotiation.terms import Terms
from marketplace.shopping.turns import lock_running_turn

ARGUMENT_LETTERS = 400


class Why(StrEnum):
    """Why a proposal is not heard, beside what grounding refuses. Documented in docs/guides/tools.md."""

    UNKNOWN_OFFER = "unknown_offer"
    NO_RULE = "no_rule"
    ROUND_LIMIT = "round_limit"
    KEY_REUSED = "key_reused"


class ProposalRefused(Refused):
    """A proposal that is not heard; the code is one of Why, or of grounding's."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an agent proposes: a price of one of so many pieces, in the conversation's currency, and why.

    `key` is the agent's idempotency key, empty for none.
    """

    offer_id: str
    amount_minor: int
    quantity: int = 1
    argument: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """The round that a proposal came to, the quote of an accepted one. `already`: it had been heard before."""

    round: NegotiationRound
    quote: Quote | None
    fact: OfferFact
    already: bool = False


@transaction.atomic
def negotiate(*, conversation_id: uuid.UUID, turn_id: uuid.UUID, proposal: Proposal) -> Heard:
    """One round against the rule that counts for the offer now; the page is told after it.

    Rounds are counted per conversation and offer, whatever the quantity. The same proposal twice in a row, or a key
    that was there before, is the same round. Raises NoTurn, and ProposalRefused, which leaves no round.
    """
    turn = lock_running_turn(conversation_id=conversation_id, turn_id=turn_id)
    conversation = turn.conversation
    fact = _read(proposal.offer_id)
    proposed = Money.from_minor(proposal.amount_minor, conversation.currency)
    argument = proposal.argument.strip()[:ARGUMENT_LETTERS]
    talk = _lock(conversation, fact)
    rounds = list(talk.rounds.select_related("quote").order_by("number"))
    same = _heard_before(rounds, proposed, proposal.quantity, argument, proposal.key)
    if same is not None:
        return Heard(same, getattr(same, "quote", None), fact, already=True)
    _require_grounded(fact, conversation, proposal.quantity)
    rule, terms = _rule(fact)
    answer, price, number = _answer(terms, rounds, fact=fact, proposed=proposed, quantity=proposal.quantity)
    heard = NegotiationRound.objects.create(
        negotiation=talk, turn=turn, number=len(rounds) + 1, quantity=proposal.quantity,
        proposed_micros=proposed.micros, argument=argument, kind=answer.kind,
        answered_micros=price.micros, price_micros=fact.price.micros, currency=fact.price.currency,
        rounds_left=answer.rounds_left, rule=rule, terms=terms.as_json(), key=proposal.key,
        # The rule may have been changed since it was read.
        rule_version=rule.changes.filter(terms=terms.as_json()).first(),
    )  # fmt: skip
    quote = _quote(heard, conversation, fact, terms, number) if answer.kind == Kind.ACCEPT else None
    transaction.on_commit(lambda: _tell(heard, quote, fact))
    return Heard(heard, quote, fact)


def _read(offer_id: str) -> OfferFact:
    try:
        number = parse_public_id("off", offer_id)
    except MalformedId as malformed:
        raise ProposalRefused(
            malformed.message, hint="Use an offer_id that a tool returned.", code=Code.MALFORMED_ID
        ) from malformed
    fact = read_offers(offer_ids=[number]).get(number)
    if fact is None:
        raise ProposalRefused(
            "There is no such offer.", hint="Use an offer_id that a tool returned.", code=Why.UNKNOWN_OFFER
        )
    return fact


def _lock(conversation: Conversation, fact: OfferFact) -> Negotiation:
    fresh = Negotiation(conversation=conversation, offer_id=fact.offer_id, merchant_id=fact.merchant_id)
    Negotiation.objects.bulk_create([fresh], ignore_conflicts=True)
    return Negotiation.objects.select_for_update().get(conversation=conversation, offer_id=fact.offer_id)


def _heard_before(
    rounds: list[NegotiationRound], proposed: Money, quantity: int, argument: str, key: str
) -> NegotiationRound | None:
    """The round that this proposal came to already. Raises ProposalRefused for a key of another proposal."""
    asked = (proposed, quantity)
    if key:
        same = next((each for each in rounds if each.key == key), None)
        if same is not None and (same.proposed, same.quantity) != asked:
            raise ProposalRefused(
                "This idempotency_key was sent with another proposal.",
                hint="Send a new key with a new proposal.",
                code=Why.KEY_REUSED,
            )
        return same
    last = rounds[-1] if rounds else None
    if last is None or (last.proposed, last.quantity) != asked or last.argument != argument:
        return None
    quote: Quote | None = getattr(last, "quote", None)
    # Whoever proposes again what was agreed on and is over wants it once more; it is no retry.
    return None if quote is not None and quote.is_over else last


def _require_grounded(fact: OfferFact, conversation: Conversation, quantity: int) -> None:
    """What may not be recommended is not negotiated either; but a price above the shopper's limit is a good reason."""
    limits = replace(constraints_in_force(conversation), max_price=None)
    grounded = ground(fact, limits, shown_this_turn=0)
    if isinstance(grounded, Refusal):
        raise ProposalRefused(grounded.message, hint=grounded.hint, code=grounded.code)
    if fact.stock < quantity:
        raise ProposalRefused(
            f"Only {fact.stock} left.", hint="Propose a price for fewer.", code=Code.OUT_OF_STOCK
        )


def _rule(fact: OfferFact) -> tuple[NegotiationRule, Terms]:
    rule, _ = rule_for(fact, at=now())
    terms = rule.terms if rule else None
    # A lowest price in another currency cannot be kept.
    foreign = terms and terms.floor and terms.floor.currency != fact.price.currency
    if rule is None or terms is None or terms.gives_nothing or foreign:
        raise ProposalRefused(
            "The merchant does not negotiate this offer now.",
            hint="Its price stands; another merchant's offer may be negotiable.",
            code=Why.NO_RULE,
        )
    return rule, terms


def _answer(
    terms: Terms, rounds: list[NegotiationRound], *, fact: OfferFact, proposed: Money, quantity: int
) -> tuple[Answer, Money, int]:
    """The answer, what one costs by it, and the round that it is an answer of.

    After the last round only its own counter may still be taken, for the quantity that it was about: an answer about
    another one would be a round more.
    """
    number = min(len(rounds) + 1, terms.rounds)
    answer = answer_round(terms, price=fact.price, quantity=quantity, proposed=proposed, round_number=number)
    last = rounds[-1] if rounds else None
    countered = last is not None and last.kind == NegotiationRound.Kind.COUNTER and last.quantity == quantity
    too_late = len(rounds) >= terms.rounds and not (countered and answer.kind == Kind.ACCEPT)
    if answer.price is None or too_late:
        # The offer's price, or the rule, may be another one than the last counter was made of.
        take = f"Propose {answer.price} each for {quantity} to take that."
        raise ProposalRefused(
            "No: the merchant hears no more proposals for this offer in this conversation.",
            hint=take
            if countered
            else "What was agreed on stands until it expires; else the offer's own price.",
            code=Why.ROUND_LIMIT,
        )
    return answer, answer.price, number


def _quote(
    heard: NegotiationRound, conversation: Conversation, fact: OfferFact, terms: Terms, number: int
) -> Quote:
    return Quote.objects.create(
        round=heard, conversation=conversation, offer_id=fact.offer_id, quantity=heard.quantity,
        least_quantity=least_quantity(
            terms, price=fact.price, quantity=heard.quantity, agreed=heard.answered, round_number=number
        ),
        unit_price_micros=heard.answered_micros, price_micros=heard.price_micros, currency=heard.currency,
        made_at=heard.at, expires_at=heard.at + timedelta(seconds=settings.QUOTE_SECONDS),
    )  # fmt: skip


def _tell(heard: NegotiationRound, quote: Quote | None, fact: OfferFact) -> None:
    events.tell(
        heard.turn.conversation_id, Name.NEGOTIATION, turn=str(heard.turn_id), id=str(heard.pk),
        variant_id=fact.public_ids["variant"], offer_id=fact.public_ids["offer"], title=fact.title,
        merchant=fact.merchant_name, round=heard.number, rounds_left=heard.rounds_left,
        quantity=heard.quantity, price=objects.price(heard.price), proposed=objects.price(heard.proposed),
        answer=heard.kind, answered=objects.price(heard.answered), argument=heard.argument,
        until=quote.expires_at.isoformat() if quote else None,
    )  # fmt: skip
