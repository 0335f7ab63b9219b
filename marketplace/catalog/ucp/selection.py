"""Choosing among a product's variants by options: UCP's interactive narrowing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from marketplace.catalog.products import VariantView
from marketplace.catalog.ucp.objects import option_values

# Each is tried with and without the others, on every variant.
MOST_SELECTED: Final = 20


def matches(variant: VariantView, selected: Mapping[str, str]) -> bool:
    """Whether a variant has all selected values, in any case."""
    have = {name.casefold(): label.casefold() for name, label in variant.options.items()}
    return all(have.get(name.casefold()) == label.casefold() for name, label in selected.items())


def narrow(
    variants: Sequence[VariantView], *, selected: Mapping[str, str], preferences: Sequence[str] = ()
) -> dict[str, str]:
    """The selection that at least one variant meets: options are dropped until one does.

    The last of `preferences` goes first; options that are not among them go even before, the latest first.
    """
    ranked = {name.casefold(): place for place, name in enumerate(preferences)}
    kept = sorted(selected, key=lambda name: ranked.get(name.casefold(), len(ranked)))
    while kept:
        chosen = {name: selected[name] for name in kept}
        if any(matches(variant, chosen) for variant in variants):
            return {name: label for name, label in selected.items() if name in chosen}
        kept.pop()
    return {}


def signals(
    variants: Sequence[VariantView], *, selected: Mapping[str, str]
) -> dict[str, list[dict[str, object]]]:
    """For every option value: is there a variant with it and the other selections, can it be bought."""
    found: dict[str, list[dict[str, object]]] = {}
    for name, labels in option_values(variants).items():
        others = {key: value for key, value in selected.items() if key.casefold() != name.casefold()}
        for label in labels:
            same = [variant for variant in variants if matches(variant, {**others, name: label})]
            available = any(variant.available for variant in same)
            row: dict[str, object] = {"label": label, "exists": bool(same), "available": available}
            found.setdefault(name, []).append(row)
    return found
