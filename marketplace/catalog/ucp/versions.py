"""The versions of UCP that the store speaks, and which one an answer is being written in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

APRIL: Final = "2026-04-08"
AUGUST: Final = "2026-08-25"
VERSIONS: Final = (APRIL, AUGUST)
_SPEAKING: ContextVar[str] = ContextVar("ucp_version", default=APRIL)


def version() -> str:
    """The version of the answer at hand; the older one where nobody asked for another."""
    return _SPEAKING.get()


@contextmanager
def speaking(wanted: str) -> Iterator[None]:
    """Write answers in this version, within the block and this thread."""
    token = _SPEAKING.set(wanted)
    try:
        yield
    finally:
        _SPEAKING.reset(token)
