"""The tree of goods: read from the paths that feeds give, made as they are met."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from django.db.models import Q, Value
from django.db.models.functions import Upper
from django.utils.text import slugify

from marketplace.catalog.models import Category

_DEEPEST: Final = 5


def path_names(text: str) -> list[str]:
    """`"Home & Garden > Kitchen"` → names from the root; at most five levels, empty parts left out."""
    parts = (" ".join(part.split())[:120] for part in text.split(">"))
    return [part for part in parts if _slug(part)][:_DEEPEST]


def _slug(name: str) -> str:
    """In Latin letters where the name has some, else in its own script; empty for a name of signs alone."""
    return slugify(name) or slugify(name, allow_unicode=True)


def slug_of(names: Sequence[str]) -> str:
    """The slug of a category by its names from the root."""
    return "-".join(map(_slug, names))[:160].strip("-")


def top_level_slug(names: Sequence[str]) -> str:
    """What fees and rankings call the category: its root's slug; `other` for goods without one."""
    return slug_of(names[:1]) or "other"


def ensure_category(names: Sequence[str]) -> Category | None:
    """The category of a path, made with its ancestors when new; None for an empty path."""
    parent: Category | None = None
    for depth in range(1, len(names) + 1):
        upto = names[:depth]
        parent, _ = Category.objects.get_or_create(
            slug=slug_of(upto),
            defaults={"name": upto[-1], "parent": parent, "path": " > ".join(upto)[:400]},
        )
    return parent


def ensure_categories(paths: Collection[tuple[str, ...]]) -> dict[tuple[str, ...], Category | None]:
    """The same for many paths: one query where all are known. New ones are made in one order: no two deadlock."""
    slugs = {path: slug_of(path) for path in set(paths)}
    known = Category.objects.in_bulk(set(slugs.values()), field_name="slug")
    ordered = sorted(slugs, key=lambda path: [_slug(name) for name in path])
    return {path: known.get(slugs[path]) or ensure_category(path) for path in ordered}


def find_slugs(values: Collection[str]) -> tuple[str, ...]:
    """Slugs of the categories that people mean by slugs, paths or bare names; unknown ones stay as they read.

    An unknown one thus matches nothing, rather than being dropped and matching everything.
    """
    slugs = [slug_of(path_names(value)) or value for value in values]
    if not slugs:
        return ()
    names = [Upper(Value(value.strip())) for value in values]
    known = Category.objects.alias(loud=Upper("name")).filter(Q(slug__in=slugs) | Q(loud__in=names))
    return tuple(dict.fromkeys([*slugs, *known.order_by("slug").values_list("slug", flat=True)]))


def names_of(slugs: Collection[str]) -> dict[str, str]:
    """Names by slug, of the categories that exist."""
    return dict(Category.objects.filter(slug__in=list(slugs)).values_list("slug", "name"))
