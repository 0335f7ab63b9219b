"""Which fields of a row changed and from what to what, in JSON's own types. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Field, Model


@dataclass(slots=True)
class Diff:
    """Fields by `row.field`, as `offer.price_micros`, before and after."""

    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    def add(self, row: str, changed: Mapping[str, tuple[Any, Any]]) -> None:
        """Take in what changed in a row of that kind."""
        for name, (before, after) in changed.items():
            self.before[f"{row}.{name}"] = plain(before)
            self.after[f"{row}.{name}"] = plain(after)

    def add_new(self, row: str, values: Mapping[str, Any]) -> None:
        """Take in a new row: it has no before."""
        self.after |= {f"{row}.{name}": plain(value) for name, value in values.items()}


def set_values(row: Model, values: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Give a row new values; gives the fields that changed, with the value before and after."""
    changed = {}
    for name, value in values.items():
        before = getattr(row, name)
        if before != value:
            setattr(row, name, value)
            changed[name] = (before, value)
    return changed


def plain(value: Any) -> Any:
    """A value as JSON keeps it; `restore` reads it back."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value


def restore(row: Model, name: str, value: Any) -> None:
    """Set a field to a value that `plain` gave."""
    column = row._meta.get_field(name.removesuffix("_id"))
    if not isinstance(column, Field):
        raise TypeError(f"{name} is no column")
    setattr(row, name, column.to_python(value))
