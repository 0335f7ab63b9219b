"""What a platform tells of the buyer and of their place. Only what is understood is kept."""

from __future__ import annotations

from typing import Any, Final

from agentstore.kit.errors import Invalid

Json = dict[str, Any]
_BUYER: Final = ("first_name", "last_name", "email", "phone_number")
_CONTEXT: Final = ("address_country", "address_region", "postal_code", "language", "currency", "intent")


class InvalidBuyer(Invalid):
    """The buyer or the context is not what UCP's schema asks for."""

    code = "invalid_request"


def read_buyer(given: Any) -> Json:
    """A buyer's name, e-mail and phone number. Raises InvalidBuyer."""
    return _texts(given, _BUYER, "buyer")


def read_context(given: Any) -> Json:
    """Where the buyer is, and `eligibility`, the claims that a platform makes for them. Raises InvalidBuyer."""
    found = _texts(given, _CONTEXT, "context")
    claims = given.get("eligibility") if isinstance(given, dict) else None
    if isinstance(claims, list):
        found["eligibility"] = [claim[:120] for claim in claims if isinstance(claim, str)][:20]
    return found


def claims_not_accepted(context: Json) -> list[Json]:
    """A warning for each eligibility claim: the store has no price or access that hangs on one."""
    return [
        {
            "type": "warning",
            "code": "eligibility_not_accepted",
            "content": f"{claim}: no price here depends on it.",
        }
        for claim in context.get("eligibility", [])
    ]


def _texts(given: Any, names: tuple[str, ...], where: str) -> Json:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InvalidBuyer(f"{where} is an object.")
    return {
        name: value.strip()[:200]
        for name in names
        if isinstance(value := given.get(name), str) and value.strip()
    }
