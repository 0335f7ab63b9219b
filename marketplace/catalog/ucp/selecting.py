"""Smaller answers, since an agent pays for every token: chosen fields, and a compact choice of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from agentstore.kit.errors import Invalid

MOST_FIELDS: Final = 40
# Without these an answer cannot be understood, or gone on with.
ALWAYS: Final = ("ucp", "messages", "pagination")
_BRIEF: Final = (
    "id", "title", "price_range", "selected",
    "variants.id", "variants.title", "variants.price", "variants.list_price", "variants.availability.available",
    "variants.inputs",
)  # fmt: skip
COMPACT: Final = (*(f"products.{name}" for name in _BRIEF), *(f"product.{name}" for name in _BRIEF))
Tree = dict[str, Any]


class InvalidSelection(Invalid):
    """`fields` is no list of paths, or `compact` no truth value."""

    code = "invalid_request"


def wanted_fields(request: Mapping[str, Any], *, brief: tuple[str, ...] = COMPACT) -> tuple[str, ...] | None:
    """The paths that a request wants of its answer, None for all of it; `brief` is what a compact one keeps.

    Raises InvalidSelection.
    """
    fields, compact = request.get("fields"), request.get("compact", False)
    if not isinstance(compact, bool):
        raise InvalidSelection("compact is true or false.")
    if fields is None:
        return brief if compact else None
    if (
        not isinstance(fields, list)
        or len(fields) > MOST_FIELDS
        or not all(isinstance(f, str) for f in fields)
    ):
        raise InvalidSelection(
            f"fields is a list of at most {MOST_FIELDS} paths.", hint="products.variants.price"
        )
    return (*fields, *(brief if compact else ()))


def wants(fields: Iterable[str] | None, member: str) -> bool:
    """Whether `wanted_fields` has a member of the answer, or a part of it."""
    return fields is None or any(path.partition(".")[0] == member for path in fields)


def select_fields(answer: Mapping[str, Any], fields: Iterable[str] | None) -> dict[str, Any]:
    """The answer with the named members only. A path leads through lists: `products.variants.price`.

    A path to an object keeps all of it; a path to nothing adds nothing.
    """
    if fields is None:
        return dict(answer)
    tree: Tree = {name: {} for name in ALWAYS}
    for path in sorted(fields, key=len):
        _add(tree, path.split("."))
    chosen: dict[str, Any] = _pick(answer, tree)
    return chosen


def _add(tree: Tree, parts: list[str]) -> None:
    """Note a path. What a shorter path keeps whole stays whole."""
    for place, part in enumerate(parts):
        if part in tree and not tree[part]:
            return
        tree = tree.setdefault(part, {} if place == len(parts) - 1 else {"": {}})


def _pick(value: Any, tree: Tree) -> Any:
    if not tree:
        return value
    if isinstance(value, list):
        return [_pick(part, tree) for part in value]
    if isinstance(value, Mapping):
        return {name: _pick(value[name], below) for name, below in tree.items() if name in value}
    return value
