"""What a search found, judged against the wish: which variant of each product, and how well it fits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentstore_sdk import Product, Variant

from concierge.understanding import Wish
from concierge.vocabulary import stem, synonyms

_WORD = re.compile(r"[a-z0-9][a-z0-9+-]*")
# How much the search engine's order counts beside the words that are really there.
_ORDER_WEIGHT, _WORDS_WEIGHT, _OPTIONS_WEIGHT = 0.45, 0.4, 0.15


@dataclass(frozen=True)
class Candidate:
    """A product's best variant for the wish. `fit` is 0 to 1; `has` the wished words that it names."""

    product: Product
    variant: Variant
    fit: float
    has: tuple[str, ...]
    options: tuple[str, ...]

    @property
    def title_key(self) -> str:
        """The same for products that differ in size or seller only."""
        return " ".join(sorted(_words([self.product.title.split(",")[0]])))

    @property
    def price(self) -> int:
        """In minor units, as the search told it."""
        return self.variant.price

    @property
    def rating(self) -> float | None:
        """Of 5, None when nobody has rated it."""
        return self.product.rating if self.product.rating_count else None


def judge(wish: Wish, found: Sequence[Product]) -> list[Candidate]:
    """Candidates that keep the wish's limits, the best fit first. One for each product."""
    judged = list[Candidate]()
    for order, product in enumerate(found):
        if any(_names(product, avoided) for avoided in wish.avoid):
            continue
        variant = _variant_for(wish, product)
        if variant is not None:
            judged.append(_candidate(wish, product, variant, order, len(found)))
    return sorted(judged, key=lambda candidate: -candidate.fit)


def _variant_for(wish: Wish, product: Product) -> Variant | None:
    """The variant with the most of the wished options, the cheaper one of equals."""
    usable = [v for v in product.variants if v.available and _affordable(wish, v)]
    return min(usable, key=lambda v: (-len(_matching_options(wish, product, v)), v.price), default=None)


def _affordable(wish: Wish, variant: Variant) -> bool:
    least, most = wish.budget.least, wish.budget.most
    return (least is None or variant.price >= least) and (most is None or variant.price <= most)


def _matching_options(wish: Wish, product: Product, variant: Variant) -> tuple[str, ...]:
    labels = _words([*variant.options.values(), variant.title, product.title])
    return tuple(option for option in wish.options if set(_words([option])) <= labels)


def _candidate(wish: Wish, product: Product, variant: Variant, order: int, count: int) -> Candidate:
    title = _words([product.title, variant.title, *product.categories])
    body = _words([product.description[:2000]])
    has = tuple(word for word in wish.words if synonyms(word) & (title | body))
    in_title = sum(bool(synonyms(word) & title) for word in wish.words)
    in_body = len(has) - in_title
    words = (in_title + 0.5 * in_body) / len(wish.words) if wish.words else 1.0
    options = _matching_options(wish, product, variant)
    share = len(options) / len(wish.options) if wish.options else 1.0
    fit = _ORDER_WEIGHT * (1 - order / max(count, 1)) + _WORDS_WEIGHT * words + _OPTIONS_WEIGHT * share
    return Candidate(product, variant, fit, has, options)


def _names(product: Product, avoided: str) -> bool:
    """Whether the product has what is to be avoided; "sugar free" and "no sugar" do not."""
    text = " ".join([product.title, product.description, *product.categories]).lower()
    thing = r"[\s-]+".join(map(re.escape, avoided.split()))
    has_it = (
        rf"(?<![\w-])(?<!no )(?<!non )(?<!non-)(?<!without )(?<!free of ){thing}s?(?![\w])(?![\s-]+free\b)"
    )
    return re.search(has_it, text) is not None


def _words(texts: Iterable[str]) -> set[str]:
    return {stem(word) for text in texts for word in _WORD.findall(text.lower())}
