"""The tree of goods: read from the paths that feeds give, made as they are met."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Upper

from marketplace.catalog.models import Category
from marketplace.catalog.slugs import is_slug, level_slug, slug_of

_DEEPEST: Final = 5


def path_names(text: str) -> list[str]:
    """`"Home & Garden > Kitchen"` → names from the root; at most five levels, empty parts left out."""
    parts = (" ".join(part.split())[:120] for part in text.split(">"))
    return [part for part in parts if level_slug(part)][:_DEEPEST]


def ensure_category(names: Sequence[str]) -> Category | None:
    """The category of a path, made with its ancestors when new; None for an empty path."""
    parent: Category | None = None
    for depth in range(1, len(names) + 1):
        upto = names[:depth]
        parent, _ = Category.objects.get_or_create(
            slug=slug_of(upto),
            defaults={"name": upto[-1], "parent": parent, "path": " > ".join(upto)},
        )
    return parent


def ensure_categories(paths: Collection[tuple[str, ...]]) -> dict[tuple[str, ...], Category | None]:
    """The same for many paths: one query where all are known. New ones are made in one order: no two deadlock."""
    slugs = {path: slug_of(path) for path in set(paths)}
    known = Category.objects.in_bulk(set(slugs.values()), field_name="slug")
    ordered = sorted(slugs, key=lambda path: [level_slug(name) for name in path])
    return {path: known.get(slugs[path]) or ensure_category(path) for path in ordered}


def find_slugs(values: Collection[str]) -> tuple[str, ...]:
    """Slugs of the categories that people mean by slugs, paths or bare names; unknown ones stay as they read.

    An unknown one thus matches nothing, rather than being dropped and matching everything. Slugs of before count where
    no category has them now.
    """
    slugs = [_meant(value) for value in values]
    if not slugs:
        return ()
    names = [Upper(Value(value.strip())) for value in values]
    known = Category.objects.alias(loud=Upper("name")).filter(
        Q(slug__in=slugs) | Q(loud__in=names) | _once_called(slugs)
    )
    return tuple(dict.fromkeys([*slugs, *known.order_by("slug").values_list("slug", flat=True)]))


def _meant(value: str) -> str:
    slug = value.strip().lower()
    return slug if is_slug(slug) else slug_of(path_names(value)) or value


def _once_called(slugs: Collection[str]) -> Q:
    taken = Category.objects.filter(slug=OuterRef("former_slug"))
    return Q(Q(former_slug__in=slugs), ~Exists(taken))


def find_renamed(slug: str) -> str | None:
    """What a category is called now that once had this slug; None for those in use and unknown ones alike."""
    return Category.objects.filter(_once_called([slug])).values_list("slug", flat=True).first()


def names_of(slugs: Collection[str]) -> dict[str, str]:
    """Names by slug, of the categories that exist."""
    return dict(Category.objects.filter(slug__in=list(slugs)).values_list("slug", "name"))
