"""Why a line of a feed is not taken."""

from __future__ import annotations


class RowRefused(Exception):
    """A line that cannot be taken: a stable code and a sentence for the merchant."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def too_long(column: str, longest: int) -> RowRefused:
    """A cell of more than so many characters."""
    return RowRefused(f"{column}_too_long", f"The column {column} has over {longest} characters.")
