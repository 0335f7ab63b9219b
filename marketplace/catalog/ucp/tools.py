"""The catalogue's tools: name, schema and function, for MCP here and for the gateway of sandboxed agents.

Arguments are UCP's request bodies. UCP's MCP binding wraps them as `{"meta": …, "catalog": …}`; both forms
are understood, since a language model does better with the plain one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agentstore.kit.mcp import Tool
from marketplace.catalog.ucp import service
from marketplace.catalog.ucp.filtering import MOST_VALUES
from marketplace.catalog.ucp.selection import MOST_SELECTED

Arguments = dict[str, Any]

_CONTEXT: Final = {
    "type": "object",
    "description": "What is known of the shopper's place and wish; none of it identifies anybody.",
    "properties": {
        "address_country": {
            "type": "string",
            "description": "ISO 3166-1 alpha-2; finds what ships there",
        },
        "currency": {"type": "string", "description": "ISO 4217; the currency of price filters"},
        "intent": {"type": "string"},
    },
}
_ACCEPTED: Final = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": ["string", "number"]}, "maxItems": MOST_VALUES},
    ]
}
_FILTERS: Final = {
    "type": "object",
    "properties": {
        "categories": {
            "type": "array",
            "items": {"type": "string"},
            "maxItems": MOST_VALUES,
            "description": "Category paths, names or slugs; any of them; what lies below is included",
        },
        "price": {
            "type": "object",
            "properties": {
                "min": {"type": "integer", "minimum": 0},
                "max": {"type": "integer", "minimum": 0},
            },
            "description": "In minor units: 15000 is 150.00 USD. Both ends included.",
        },
        "brands": {
            "type": "array",
            "items": {"type": "string"},
            "maxItems": MOST_VALUES,
            "description": "Any of these brands",
        },
        "options": {
            "type": "object",
            "additionalProperties": _ACCEPTED,
            "maxProperties": MOST_VALUES,
            "description": 'Variant options, such as {"Size": ["M", "L"], "Color": "Blue"}',
        },
        "attributes": {
            "type": "object",
            "additionalProperties": _ACCEPTED,
            "maxProperties": MOST_VALUES,
            "description": 'Attributes of the product, such as {"material": "oak"}',
        },
        "available": {"type": "boolean", "description": "false also finds what is out of stock"},
    },
}
_SEARCH: Final = {
    "query": {
        "type": "string",
        "maxLength": 500,
        "description": "What is wanted, in words; empty lists all",
    },
    "filters": _FILTERS,
    "context": _CONTEXT,
    "explain": {
        "type": "boolean",
        "description": "Also say how words were read and why each product is here",
    },
    "pagination": {
        "type": "object",
        "properties": {
            "limit": {"type": "integer", "minimum": 1, "maximum": 50},
            "cursor": {"type": "string", "description": "From the previous page"},
        },
    },
}
_LOOKUP: Final = {
    "ids": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "description": "prod_… and var_… ids, at most 50",
    },
    "context": _CONTEXT,
}
_PRODUCT: Final = {
    "id": {"type": "string", "description": "A prod_… or var_… id"},
    "selected": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "label": {"type": "string"}},
            "required": ["name", "label"],
        },
        "maxItems": MOST_SELECTED,
        "description": "Options chosen so far",
    },
    "preferences": {
        "type": "array",
        "items": {"type": "string"},
        "maxItems": MOST_SELECTED,
        "description": "Option names, the most important first: kept when no variant has all",
    },
    "context": _CONTEXT,
}


_SIZE: Final = {
    "compact": {
        "type": "boolean",
        "description": "Only ids, titles, prices and availability: a fraction of the tokens",
    },
    "fields": {
        "type": "array",
        "items": {"type": "string"},
        "description": 'Only these members, as in ["products.title", "products.variants.price"]',
    },
}


def _schema(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            **properties,
            **_SIZE,
            "catalog": {"type": "object", "description": "UCP's envelope around the same arguments"},
            "meta": {"type": "object", "description": "UCP's request metadata"},
        },
        "additionalProperties": False,
    }


def _unwrapped(operation: Callable[[Arguments], Arguments]) -> Callable[[object, Arguments], Arguments]:
    def handle(context: object, arguments: Arguments) -> Arguments:
        plain = {name: value for name, value in arguments.items() if name not in ("catalog", "meta")}
        return operation({**plain, **arguments.get("catalog", {})})

    return handle


CATALOG_TOOLS: Final[tuple[Tool[object], ...]] = (
    Tool(
        name="search_catalog",
        title="Search the catalogue",
        description=(
            "Find products by what they are or are for, narrowed by category, price, brand, options, stock "
            "and destination. Answers UCP products with their variants: `variants[0]` fits best. Prices are "
            "in minor units and true at this moment; `variants[].id` (var_…) is what you recommend."
        ),
        input_schema=_schema(_SEARCH),
        handler=_unwrapped(service.search),
    ),
    Tool(
        name="lookup_catalog",
        title="Look up products by id",
        description="Read up to 50 products or variants by their ids, with current price and stock.",
        input_schema=_schema(_LOOKUP),
        handler=_unwrapped(service.lookup),
    ),
    Tool(
        name="get_product",
        title="Read one product in full",
        description=(
            "All variants of one product, its description, options with availability, photographs and "
            "rating. Give `selected` options to narrow the variants."
        ),
        input_schema=_schema(_PRODUCT),
        handler=_unwrapped(service.product_detail),
    ),
)
