"""A conversation as a page shows it: its turns, each with what was said, shown and what went wrong."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from agentstore.kit.money import Money
from marketplace.shopping.cards import Card, cards_for
from marketplace.shopping.constraints import MAX_PRICE
from marketplace.shopping.failures import failure_words
from marketplace.shopping.models import Conversation, Message, NegotiationRound, Turn
from marketplace.shopping.negotiation.shown import ShownRound, rounds_for


@dataclass(frozen=True, slots=True)
class TurnView:
    """One turn: the shopper's message, the answer so far, its cards and rounds."""

    turn: Turn
    agent_name: str
    asked: Message | None
    answer: Message | None
    cards: list[Card]
    rounds: list[ShownRound]

    @property
    def running(self) -> bool:
        """Whether the agent is still at it."""
        return self.turn.status == Turn.Status.RUNNING

    @property
    def failure(self) -> str:
        """What went wrong, in words; empty when nothing did."""
        if self.turn.status != Turn.Status.FAILED:
            return ""
        return failure_words(self.turn.fault, self.turn.failure, self.agent_name)

    @property
    def masked_notice(self) -> str:
        """What was taken out of the message before the agent saw it."""
        if self.asked is None or not self.asked.masked:
            return ""
        kinds = " and ".join(self.asked.masked)
        return f"We removed your {kinds} before the agent saw this."


def read_turns(conversation: Conversation) -> list[TurnView]:
    """All turns of a conversation, the oldest first; a few queries however many there are."""
    turns = list(conversation.turns.all())
    said: dict[object, dict[str, Message]] = defaultdict(dict)
    for message in Message.objects.filter(turn__in=turns):
        said[message.turn_id][message.role] = message
    shown: dict[object, list[Card]] = defaultdict(list)
    for card in cards_for(conversation.recommendations.filter(turn__in=turns)):
        shown[card.recommendation.turn_id].append(card)
    heard: dict[object, list[ShownRound]] = defaultdict(list)
    for each in rounds_for(NegotiationRound.objects.filter(turn__in=turns)):
        heard[each.row.turn_id].append(each)
    return [
        TurnView(
            turn=row,
            agent_name=conversation.agent.name,
            asked=said[row.pk].get(Message.Role.SHOPPER),
            answer=said[row.pk].get(Message.Role.AGENT),
            cards=shown[row.pk],
            rounds=heard[row.pk],
        )
        for row in turns
    ]


def begun(turn: Turn, *, agent_name: str) -> TurnView:
    """A turn as it was when it began: asked, and nothing more."""
    asked = turn.messages.get(role=Message.Role.SHOPPER)
    return TurnView(turn=turn, agent_name=agent_name, asked=asked, answer=None, cards=[], rounds=[])


def price_limit(conversation: Conversation) -> Money | None:
    """The limit that the shopper stated and the platform checks, None when there is none."""
    micros = conversation.limits.get(MAX_PRICE)
    return None if micros is None else Money(int(micros), conversation.currency)
