"""Why a line of a feed is not taken."""

from __future__ import annotations


class RowRefused(Exception):
    """A line that cannot be taken: a stable code and a sentence for the merchant."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
