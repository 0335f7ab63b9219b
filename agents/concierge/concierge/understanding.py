"""From what a shopper says to what is looked for: pure functions, no search, no memory but the messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import dropwhile

from concierge.budget import Budget, find_budget
from concierge.vocabulary import COLOURS, FILLER, NUMBERS, OCCASIONS, SIZES, stem

_WORD = re.compile(r"[a-z0-9][a-z0-9'./+&-]*[a-z0-9+]|[a-z0-9]")
_STOP_AT = r"(?=\s*(?:[,.;!?]|$|\b(?:and|but|or|with|for|that|which|please|under|in)\b))"
_AVOID = re.compile(
    r"(?<![\w-])(?:without(?: any)?|no|not|nothing with|except(?: for)?|anything but|other than|avoid(?:ing)?"
    r"|(?:do not|don't|dont|doesn't) (?:want|like|need)(?: any)?|allergic to|hate)"
    r"\s+(?:a |an |the |any |made of |in )?"
    r"((?:[a-z][a-z'-]*)(?:\s+[a-z][a-z'-]*)?)" + _STOP_AT
)
# "no more", "not sure", "no problem": a no that avoids nothing.
_NO_AVOIDANCE = (
    "more",
    "less",
    "sure",
    "problem",
    "one",
    "idea",
    "thanks",
    "only",
    "too",
    "so",
    "than",
    "later",
)
_SIZE = re.compile(r"\bsize\s*(?:is|of|:|-)?\s*([a-z0-9][a-z0-9./-]*)")
_IN_TOTAL = re.compile(r"\b(?:in total|altogether|for all of them|combined)\b")
_HOW_MANY = re.compile(
    r"^\W*(?:(?:i|we) (?:need|want)|get me|buy|order|add)\s+(\d{1,2}|[a-z]+) (?:of )?[a-z]+s\b"
)
_CHEAPEST = re.compile(
    r"\b(?:cheap(?:er|est)?|low(?:est)? price|affordable|inexpensive|least expensive|bargain)\b"
)
_BEST_RATED = re.compile(
    r"\b(?:best|highest|top|well)[ -]?(?:rated|reviewed)\b|\bbest reviews\b|\bmost popular\b"
)
_BARGAINS = re.compile(
    r"\b(?:negotiat\w*|haggl\w*|discounts?|(?:a |any )?(?:better|lower|special) (?:price|deal|offer)s?"
    r"|bargain (?:with|for|over)|(?:bring|get|talk|knock) (?:it|them|the price|\w+) (?:down|off))\b"
)
_REFINES = re.compile(
    r"^\W*(?:and|but|also|instead|rather|something|anything|only|just|what about|how about|in|with|without"
    r"|not|no|cheaper|under|less|below|maybe|make it|do you have (?:it|them|one)|any|the)\b"
)


@dataclass(frozen=True)
class Wish:
    """What is looked for. `words` in the shopper's order; nothing of `avoid` in it; prices in minor units.

    `bargains`: the present message asks for a better price.
    """

    words: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)
    quantity: int = 1
    cheapest_first: bool = False
    best_rated_first: bool = False
    bargains: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said that could be searched for."""
        return not self.words and not self.colours

    @property
    def kinds(self) -> tuple[str, ...]:
        """The words that say what kind of thing it is, in place of whom or what occasion it is for."""
        return tuple(word for word in self.words if stem(word) not in OCCASIONS and not word.isdigit())

    @property
    def query(self) -> str:
        """What to search with."""
        return " ".join([*self.colours, *self.words])

    @property
    def options(self) -> tuple[str, ...]:
        """Colours and sizes: what decides between the variants of a product."""
        return self.colours + self.sizes


def understand(prompt: str, earlier: Sequence[str] = ()) -> Wish:
    """The wish in the present message, with what earlier ones said as far as this one only refines it."""
    wish = Wish()
    for text in [*earlier[-6:], prompt]:
        said = read(text)
        wish = _merged(wish, said) if _is_refinement(text, said, wish) else said
    return wish


def read(text: str) -> Wish:
    """The wish in one message alone."""
    text = " ".join(text.lower().replace("’", "'").split())[:2000]
    cheapest, best_rated = bool(_CHEAPEST.search(text)), bool(_BEST_RATED.search(text))
    bargains = bool(_BARGAINS.search(text))
    quantity, rest = _find_quantity(_BARGAINS.sub(" ", text))
    budget, rest = find_budget(rest)
    if budget.most is not None and _IN_TOTAL.search(text):
        budget = replace(budget, most=budget.most // quantity)
    avoid, rest = _find_avoided(rest)
    sizes = [size for size in _SIZE.findall(rest) if size in SIZES or any(c.isdigit() for c in size)]
    rest = _SIZE.sub(lambda m: " " if m[1] in sizes else m[0], rest)
    words, colours = list[str](), list[str]()
    for word in _WORD.findall(_BEST_RATED.sub(" ", rest)):
        word = word.removesuffix("'s").replace("'", "").strip(".-/")
        if word in COLOURS:
            colours.append(word)
        elif word in SIZES and word not in ("full", "king", "queen", "twin"):
            sizes.append(word)
        elif word and word not in FILLER and (len(word) > 1 or word.isdigit()):
            words.append(word)
    if all(word.isdigit() for word in words):
        words = []
    return Wish(
        words=_unique(words),
        colours=_unique(colours),
        sizes=_unique(sizes),
        avoid=_unique(avoid),
        budget=budget,
        quantity=quantity,
        cheapest_first=cheapest,
        best_rated_first=best_rated,
        bargains=bargains,
    )


def _find_avoided(text: str) -> tuple[list[str], str]:
    found = list[str]()

    def take(match: re.Match[str]) -> str:
        first = match[1].split()[0]
        kept = list(dropwhile(FILLER.__contains__, match[1].split()))
        # "without disturbing others" says how it is used, not what it has.
        if not kept or first in _NO_AVOIDANCE or first.endswith("ing"):
            return match[0]
        found.append(" ".join(kept))
        return " "

    return found, _AVOID.sub(take, text)


def _find_quantity(text: str) -> tuple[int, str]:
    """How many are wanted, and the text without that number."""
    match = _HOW_MANY.search(text)
    if not match:
        return 1, text
    number = int(match[1]) if match[1].isdigit() else NUMBERS.get(match[1], 0)
    if not 1 <= number <= 99:
        return 1, text
    return number, text[: match.start(1)] + text[match.end(1) :]


def _is_refinement(text: str, said: Wish, before: Wish) -> bool:
    """Whether a message says more of the same wish rather than beginning another one."""
    if before == Wish():
        return False
    if not said.words:
        return True
    return bool(_REFINES.match(text.lower())) and len(said.words) <= 3


def _merged(before: Wish, said: Wish) -> Wish:
    """The earlier wish with what the later message adds; of two budgets or colours the later one holds."""
    known = {stem(word) for word in before.words}
    added = tuple(word for word in said.words if stem(word) not in known)
    return replace(
        before,
        words=before.words + added,
        colours=said.colours or before.colours,
        sizes=said.sizes or before.sizes,
        avoid=_unique([*before.avoid, *said.avoid]),
        budget=said.budget or before.budget,
        quantity=said.quantity if said.quantity > 1 else before.quantity,
        cheapest_first=said.cheapest_first or before.cheapest_first,
        best_rated_first=said.best_rated_first or before.best_rated_first,
        bargains=said.bargains,
    )


def _unique(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
