"""Where it goes: UCP's fulfillment extension, with the one way that the store knows: shipped, at no charge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentstore.kit.errors import Invalid
from marketplace.shopping.checkouts import Address

Json = dict[str, Any]
OPTION_ID: Final = "standard"
_ADDRESS: Final = (
    "first_name", "last_name", "phone_number", "street_address", "extended_address", "address_locality",
    "address_region", "address_country", "postal_code",
)  # fmt: skip
# What an address must tell, and where UCP keeps it.
_NEEDED: Final = {
    "street_address": "street", "address_locality": "city", "postal_code": "postal_code",
    "address_country": "country",
}  # fmt: skip


class InvalidFulfillment(Invalid):
    """The fulfillment is not what UCP's schema asks for."""

    code = "invalid_request"


def read_destination(fulfillment: Any) -> tuple[str, Json]:
    """The method's id and the selected destination, empty when none is. Raises InvalidFulfillment."""
    if fulfillment is None:
        return "shipping", {}
    methods = fulfillment.get("methods") if isinstance(fulfillment, dict) else None
    if methods is None:
        return "shipping", {}
    if not isinstance(methods, list) or not all(isinstance(method, dict) for method in methods):
        raise InvalidFulfillment("fulfillment.methods is a list of objects.")
    method = next((one for one in methods if one.get("type", "shipping") == "shipping"), None)
    if method is None:
        return "shipping", {}
    destinations = method.get("destinations") or []
    if not isinstance(destinations, list) or not all(isinstance(one, dict) for one in destinations):
        raise InvalidFulfillment("destinations is a list of addresses.")
    wanted = method.get("selected_destination_id")
    found = next((one for one in destinations if one.get("id") == wanted), None)
    if found is None and wanted is None and len(destinations) == 1:
        found = destinations[0]
    name = method.get("id")
    return name if isinstance(name, str) and 0 < len(name) <= 60 else "shipping", _kept(found or {})


def _kept(destination: Mapping[str, Any]) -> Json:
    """The parts of an address that UCP knows, as short text; each kept address has an id."""
    found = {
        name: value.strip()[:200] for name in _ADDRESS if isinstance(value := destination.get(name), str)
    }
    if "address_country" in found:
        found["address_country"] = found["address_country"].upper()
    if not found:
        return {}
    name = destination.get("id")
    return {"id": name[:60] if isinstance(name, str) and name else "dest_1", **found}


def complete_address(destination: Json, *, billing: Mapping[str, Any], buyer: Mapping[str, Any]) -> Json:
    """The destination, with what it lacks from the billing address in the same country, and the buyer's name."""
    country = destination.get("address_country")
    lent = _kept(billing)
    if country and lent.get("address_country") != country:
        lent = {}
    named = {name: buyer[name] for name in ("first_name", "last_name") if isinstance(buyer.get(name), str)}
    whole = {**named, **lent, **{name: value for name, value in destination.items() if value}}
    whole["id"] = destination.get("id", "dest_1")
    return whole


def missing_parts(destination: Mapping[str, Any]) -> list[str]:
    """The names of what an address lacks to be sent to, in UCP's words."""
    missing = [name for name in _NEEDED if not destination.get(name)]
    country = str(destination.get("address_country", ""))
    if country and not (len(country) == 2 and country.isascii() and country.isalpha()):
        missing.append("address_country")
    if not (destination.get("first_name") or destination.get("last_name")):
        missing.append("last_name")
    return missing


def store_address(destination: Mapping[str, Any]) -> Address:
    """As the store's checkout wants it."""
    name = f"{destination.get('first_name', '')} {destination.get('last_name', '')}".strip()
    parts = {ours: str(destination.get(theirs, "")) for theirs, ours in _NEEDED.items()}
    street = " ".join(filter(None, [parts.pop("street"), str(destination.get("extended_address", ""))]))
    return Address(name=name[:200], street=street, **parts)


def fulfillment_object(*, method_id: str, line_ids: Sequence[str], destination: Json) -> Json:
    """One method, one group, one option: everything is shipped, at no charge."""
    method: Json = {
        "id": method_id,
        "type": "shipping",
        "line_item_ids": list(line_ids),
        "groups": [
            {
                "id": "group_1",
                "line_item_ids": list(line_ids),
                "selected_option_id": OPTION_ID,
                "options": [
                    {
                        "id": OPTION_ID,
                        "title": "Standard shipping, sent by each merchant",
                        "totals": [{"type": "total", "amount": 0}],
                    }
                ],
            }
        ],
    }
    if destination:
        # The newer version asks for the type, the older one has no word against it.
        method["destinations"] = [{"type": "shipping_address", **destination}]
        method["selected_destination_id"] = destination["id"]
    return {"methods": [method]}
