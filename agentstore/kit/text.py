"""Text from outside that has to be storable."""

from __future__ import annotations


def storable(text: str) -> str:
    """The text without what PostgreSQL and UTF-8 cannot hold: NUL, and halves of surrogate pairs, which JSON's
    escapes can smuggle in.
    """
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
