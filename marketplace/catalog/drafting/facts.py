"""What is known of a product, and a description that says just that. Pure but for `facts_of`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from marketplace.catalog.models import Product

_LONGEST: Final = 120
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_WORDED: Final = {
    "material": "Made of {}.",
    "pattern": "Pattern: {}.",
    "gender": "For {}.",
    "age_group": "Age group: {}.",
    "condition": "Condition: {}.",
    "dimensions": "Measures {}.",
    "weight": "Weighs {}.",
    "mpn": "Part number {}.",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """A product's own data, each value one line of at most 120 characters.

    `options` are all values that its variants have, by name. `min_age` is in years, 0 for everyone.
    """

    title: str
    brand: str = ""
    category: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    min_age: int = 0

    def listed(self) -> list[tuple[str, str]]:
        """By name, as a person reads them."""
        rows = [("Title", self.title), ("Brand", self.brand), ("Category", " > ".join(self.category))]
        rows += [(name.replace("_", " ").capitalize(), value) for name, value in self.attributes.items()]
        rows += [(name, ", ".join(values)) for name, values in self.options.items()]
        rows += [("Age", f"from {self.min_age} years")] if self.min_age else []
        return [(name, value) for name, value in rows if value]

    @property
    def say_little(self) -> bool:
        """Whether there is no more than a title to go by."""
        return len(self.listed()) < 2


def facts_of(product: Product) -> Facts:
    """A product's facts; reads its category and variants."""
    options: dict[str, dict[str, None]] = {}
    for variant in product.variants.all():
        for name, value in variant.options.items():
            options.setdefault(_line(name), {})[_line(value)] = None
    return Facts(
        title=_line(product.title),
        brand=_line(product.brand),
        category=tuple(map(_line, product.category.names)) if product.category else (),
        attributes={name: _line(value) for name, value in sorted(product.attributes.items()) if _line(value)},
        options={name: tuple(values) for name, values in sorted(options.items())},
        min_age=product.min_age,
    )


def describe(facts: Facts) -> str:
    """A description by template: the facts in sentences, and nothing that is not among them."""
    return " ".join(_sentences(facts))


def numbers_beyond(text: str, facts: Facts) -> list[str]:
    """Numbers in a text that none of the facts has: what nobody said and somebody may be sued for."""
    known = {number for _, value in facts.listed() for number in _NUMBER.findall(value)}
    return [number for number in _NUMBER.findall(text) if number not in known]


def _sentences(facts: Facts) -> Iterator[str]:
    yield f"{facts.title} by {facts.brand}." if facts.brand else f"{facts.title}."
    if facts.category:
        yield (
            f"{facts.category[-1]}."
            if len(facts.category) == 1
            else f"{facts.category[-1]} in {facts.category[-2]}."
        )
    for name, values in facts.options.items():
        if len(values) == 1:
            yield f"{name}: {values[0]}."
        else:
            yield f"{name}: {', '.join(values[:-1])} or {values[-1]}."
    for name, value in facts.attributes.items():
        yield _WORDED.get(name, f"{name.replace('_', ' ').capitalize()}: {{}}.").format(value)
    if facts.min_age:
        yield f"For people of {facts.min_age} years and over."


def _line(value: Any) -> str:
    return " ".join(str(value).split())[:_LONGEST].rstrip(".")
