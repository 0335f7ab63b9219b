"""Typed errors: every refusal has a code for programs and a sentence for people.

Served as RFC 9457 problem details by the API layer and as a page or toast by the views.
"""

from __future__ import annotations

from typing import Any


class StoreError(Exception):
    """Base of all refusals. `code` is stable, `message` says what happened, `hint` what to do next."""

    code = "error"
    status = 400

    def __init__(self, message: str, *, hint: str = "", code: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details
        if code is not None:
            self.code = code

    def as_problem(self) -> dict[str, Any]:
        """RFC 9457 members, plus `code` and `hint`."""
        problem: dict[str, Any] = {
            "type": f"urn:agentstore:error:{self.code}",
            "title": self.message,
            "status": self.status,
            "code": self.code,
        }
        if self.hint:
            problem["hint"] = self.hint
        if self.details:
            problem["details"] = self.details
        return problem


class Invalid(StoreError):
    """The input breaks a rule."""

    code = "invalid"
    status = 400


class InvalidParams(Invalid):
    """Arguments that get JSON-RPC's "Invalid params" instead of a result that says so."""

    code = "invalid_params"


class Unauthenticated(StoreError):
    """Nobody, or nobody we know, is calling."""

    code = "unauthenticated"
    status = 401


class Forbidden(StoreError):
    """The caller is known and may not do this."""

    code = "forbidden"
    status = 403


class NotFound(StoreError):
    """It does not exist, or not for this caller: the two look the same from outside."""

    code = "not_found"
    status = 404


class Conflict(StoreError):
    """The state of things does not allow it now."""

    code = "conflict"
    status = 409


class Refused(StoreError):
    """Well-formed, understood and refused by a rule of the store."""

    code = "refused"
    status = 422


class TooMany(StoreError):
    """A limit of rate or number is reached."""

    code = "too_many"
    status = 429


class Unavailable(StoreError):
    """A part of the store that this needs is away; trying again later may work."""

    code = "unavailable"
    status = 503
