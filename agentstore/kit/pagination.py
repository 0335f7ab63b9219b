"""Opaque cursors for keyset pagination."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from agentstore.kit.errors import Invalid

T = TypeVar("T")


class MalformedCursor(Invalid):
    """The cursor was not made by this listing."""

    code = "malformed_cursor"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing and the cursor of the next, None on the last."""

    items: Sequence[T]
    next_cursor: str | None = None


def encode_cursor(position: Sequence[Any]) -> str:
    """A JSON-able position as URL-safe text."""
    raw = json.dumps(list(position), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_cursor(cursor: str, *, parts: int) -> list[Any]:
    """The position in a cursor. Raises MalformedCursor unless it holds exactly `parts` values."""
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError) as broken:
        raise MalformedCursor(
            "this cursor is not one of ours", hint="start again without a cursor"
        ) from broken
    if not isinstance(position, list) or len(position) != parts:
        raise MalformedCursor("this cursor is of another listing", hint="start again without a cursor")
    return position
