"""A PostgreSQL transaction id as a column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    # Generic for the type checker only; Django's own fields can't be subscripted.
    _IntegerField = models.BigIntegerField[int, int]
else:
    _IntegerField = models.BigIntegerField


class TransactionIdField(_IntegerField):
    """`xid8`: a 64-bit transaction id that never wraps around (PostgreSQL manual, section 8.19)."""

    def db_type(self, connection: Any) -> str:
        """The column's type."""
        return "xid8"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> int | None:
        """xid8 has no adapter of its own and arrives as text."""
        return None if value is None else int(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Text, which PostgreSQL casts; expressions pass."""
        return str(value) if isinstance(value, int) else value


class CurrentTransactionId(models.Func):
    """`pg_current_xact_id()`: the id of the top-level transaction, savepoints or not."""

    function = "pg_current_xact_id"
    template = "%(function)s()"
    output_field = TransactionIdField()
