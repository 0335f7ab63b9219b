"""The words of a product that search reads and embeds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

_DESCRIBED: Final = 240
_SPACE: Final = re.compile(r"\s+")


def product_text(*, title: str, brand: str, category: Sequence[str], description: str) -> str:
    """What the embedding sees: title, brand, category and the beginning of the description.

    Short on purpose: the model reads 64 tokens, and products that read the same share one vector.
    """
    parts = [title, brand, " ".join(category[-2:]), description[:_DESCRIBED]]
    return ". ".join(_SPACE.sub(" ", part).strip() for part in parts if part.strip())


def text_hash(text: str) -> str:
    """SHA-256 of the text, in hex: the key of its vector."""
    return hashlib.sha256(text.encode()).hexdigest()


def text_key(text_hash: str) -> int:
    """The first 60 bits of a text's hash: a number that PostgreSQL and the full-text index both hold.

    Two texts that share one are found together, which among millions happens about never.
    """
    return int(text_hash[:15], 16)
