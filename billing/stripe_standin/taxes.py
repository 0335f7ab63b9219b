"""Stripe Tax for a few places: enough to see every outcome that the store must show, not to file a return."""

from __future__ import annotations

from agentstore.kit.money import half_even
from billing.stripe_standin.store import Object
from billing.stripe_standin.wire import invalid

# Parts per million. Places that are not here are ones in which the store is not registered.
RATES = {"DE": 190_000, "FR": 200_000, "NL": 210_000, "GB": 200_000, "US-CA": 72_500, "US-NY": 88_750}
OFF: Object = {
    "disabled_reason": None,
    "enabled": False,
    "liability": None,
    "provider": None,
    "status": None,
}
ON: Object = {
    "disabled_reason": None,
    "enabled": True,
    "liability": {"type": "self"},
    "provider": "stripe",
    "status": "complete",
}


def place_of(customer: Object) -> str:
    """Where a customer is taxed: a country, in the United States with the state. Refused when unknown."""
    address = customer["address"] or {}
    country = str(address.get("country") or "").upper()
    if not country or (country == "US" and not (address.get("state") or address.get("postal_code"))):
        raise invalid(
            "The customer's location isn't recognized. Set a valid customer address in order to automatically"
            " calculate tax.",
            code="customer_tax_location_invalid",
        )
    return f"US-{str(address.get('state') or '').upper()}" if country == "US" else country


def behavior_of(given: object, currency: str) -> str:
    """Whether an amount holds its tax. Unsaid, Stripe's default goes by the currency: in few it comes on top."""
    if given in ("exclusive", "inclusive"):
        return str(given)
    return "exclusive" if currency in ("usd", "cad") else "inclusive"


def tax_on(amount: int, customer: Object, behavior: str) -> Object:
    """The tax on one line, in the shape of a line's `taxes`, rounded once."""
    rate, reason = RATES.get(place_of(customer), 0), "standard_rated"
    if place_of(customer) not in RATES:
        reason = "not_collecting"
    elif customer["tax_exempt"] == "reverse":
        rate, reason = 0, "reverse_charge"
    elif customer["tax_exempt"] == "exempt":
        rate, reason = 0, "customer_exempt"
    within = behavior == "inclusive"
    tax = half_even(amount * rate, 1_000_000 + rate if within else 1_000_000)
    return {
        "amount": tax,
        "tax_behavior": behavior,
        "tax_rate_details": {"tax_rate": f"txr_standin_{rate}"} if rate else None,
        "taxability_reason": reason,
        "taxable_amount": (amount - tax if within else amount) if rate else 0,
        "type": "tax_rate_details",
    }


def totals(taxes: list[Object]) -> list[Object]:
    """Lines' taxes added up by rate and reason, in the shape of `total_taxes`."""
    sums: dict[tuple[str, str], Object] = {}
    for tax in taxes:
        key = (str(tax["tax_rate_details"]), tax["taxability_reason"])
        if key in sums:
            sums[key]["amount"] += tax["amount"]
            sums[key]["taxable_amount"] += tax["taxable_amount"]
        else:
            sums[key] = dict(tax)
    return list(sums.values())
