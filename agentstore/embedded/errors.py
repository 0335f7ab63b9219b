"""The one error of this package."""

from __future__ import annotations


class EmbeddedError(Exception):
    """A service could not be started or stopped. The text says what to do about it."""
