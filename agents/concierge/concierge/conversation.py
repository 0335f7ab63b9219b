"""One turn: understand, search, compare, recommend, and say what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agentstore_sdk import Product, Refused, Store, Turn, Unreachable

from concierge import wording
from concierge.bargaining import bargain
from concierge.budget import Budget
from concierge.candidates import Candidate, judge
from concierge.choosing import comparable, relevant
from concierge.showing import show_best
from concierge.understanding import Wish, understand

_PER_SEARCH = 20
# Of the shopper's limit, in per cent: what may cost so much is asked about, since it may come down.
_REACH = 140
_MOST_ASKED = 3


def answer(turn: Turn) -> Iterator[str]:
    """The concierge's words for one message, piece by piece; cards appear as it recommends."""
    wish = understand(turn.prompt, turn.earlier)
    if wish.is_empty:
        asked = any(wording.QUESTION in message.get("content", "") for message in turn.messages)
        yield wording.ASK_AGAIN if asked else wording.QUESTION
        return
    yield wording.opening(wish, turn.currency)
    try:
        yield from _bargain(turn, wish) if wish.bargains else _shop(turn, wish)
    except (Unreachable, Refused):
        # A refused recommendation is dealt with where it is made; this is a search that was not answered.
        yield wording.AWAY


def _shop(turn: Turn, wish: Wish) -> Iterator[str]:
    fitting, near = retrieve(turn.store, wish, turn.currency)
    if not fitting:
        yield _nothing(turn, wish, near)
        return
    shown = list(show_best(turn.store, wish, fitting))
    if not shown:
        yield wording.NOTHING
        return
    yield wording.comparison(shown, turn.currency)
    if wish.quantity > 1:
        total = wording.money(shown[0].price * wish.quantity, turn.currency)
        yield f" For {wish.quantity} of the first that is {total} in total."
    if len(shown) == 1:
        yield " Nothing else that I found fits as well."


def _bargain(turn: Turn, wish: Wish) -> Iterator[str]:
    """The nearest matches' merchants are asked, one after the other, until one agrees."""
    most = wish.budget.most
    reach = replace(wish.budget, most=None if most is None else most * _REACH // 100)
    fitting, near = retrieve(turn.store, replace(wish, budget=reach), turn.currency)
    if not fitting:
        yield _nothing(turn, wish, near)
        return
    for candidate in comparable(fitting)[:_MOST_ASKED]:
        tried = bargain(turn.store, candidate, most=most, quantity=wish.quantity)
        yield wording.bargained(tried, most, turn.currency)
        if tried.agreed is not None and list(show_best(turn.store, wish, [candidate])):
            return
    within = [candidate for candidate in fitting if most is None or candidate.price <= most]
    shown = list(show_best(turn.store, wish, within))
    yield wording.comparison(shown, turn.currency) if shown else wording.NO_BARGAIN


def retrieve(store: Store, wish: Wish, currency: str) -> tuple[list[Candidate], list[Candidate]]:
    """What fits the wish, and what is only near it. When all words together find nothing, fewer are tried."""
    near = list[Candidate]()
    for query in _queries(wish):
        found = store.search_catalog(
            query,
            min_price=wish.budget.least,
            max_price=wish.budget.most,
            currency=currency,
            limit=_PER_SEARCH,
        )
        candidates = judge(wish, _once(found.products))
        if fitting := relevant(wish, candidates):
            return fitting, []
        near = near or candidates
    return [], near


def _queries(wish: Wish) -> Iterator[str]:
    yield wish.query
    if len(wish.words) > 3:
        # What a request is about tends to stand at its end ("… gluten free original flavored chips").
        yield " ".join(wish.words[-3:])
    if len(wish.words) > 1:
        yield wish.words[-1]
        yield wish.words[0]


def _nothing(turn: Turn, wish: Wish, near: list[Candidate]) -> str:
    if wish.budget:
        beyond, _ = retrieve(turn.store, replace(wish, budget=Budget()), turn.currency)
        if beyond:
            cheapest = min(beyond, key=lambda candidate: candidate.price)
            return wording.nothing_within(cheapest, wish, turn.currency)
    return wording.only_near(near[0], wish, turn.currency) if near else wording.NOTHING


def _once(found: list[Product]) -> list[Product]:
    return list({product.id: product for product in found}.values())
