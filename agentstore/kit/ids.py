"""Identifiers: UUIDv7 for what people own, prefixed numbers for the public catalogue."""

from __future__ import annotations

import os
import re
import time
import uuid
from datetime import datetime

from agentstore.kit.errors import Invalid

_PUBLIC = re.compile(r"([a-z]+)_(0|[1-9][0-9]{0,17})")


class MalformedId(Invalid):
    """The text is not an id of the expected kind."""

    code = "malformed_id"


def new_id() -> uuid.UUID:
    """A UUIDv7 (RFC 9562 section 5.7): sorts by time of creation, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | (random >> 68) << 64
    value |= 0b10 << 62 | random & (2**62 - 1)
    return uuid.UUID(int=value)


def first_id_at(instant: datetime) -> uuid.UUID:
    """The lowest UUIDv7 of a millisecond: what was made from then on has higher ones."""
    milliseconds = int(instant.timestamp() * 1000)
    return uuid.UUID(int=(milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | 0b10 << 62)


def id_in(reference: str, prefix: str) -> uuid.UUID | None:
    """The id in a reference of ours, `<prefix><uuid>`; None for one of another kind, and for what is none of ours."""
    try:
        return uuid.UUID(reference.removeprefix(prefix)) if reference.startswith(prefix) else None
    except ValueError:
        return None


def public_id(prefix: str, number: int) -> str:
    """`var_42` for ("var", 42)."""
    return f"{prefix}_{number}"


def parse_public_id(prefix: str, text: str) -> int:
    """The number in a public id, which is written in one way. Raises MalformedId when it is of another kind or none."""
    match = _PUBLIC.fullmatch(text)
    if match is None or match[1] != prefix:
        raise MalformedId(f"{text!r:.80} is not an id of the form {prefix}_<number>")
    return int(match[2])
