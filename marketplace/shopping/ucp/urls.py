"""Where UCP is served: the older version at the root, the newer one below its own date."""

from collections import defaultdict
from typing import Any

from django.urls import URLPattern, URLResolver, path

from marketplace.catalog.ucp.versions import APRIL, AUGUST
from marketplace.shopping.ucp import pages, rest
from marketplace.shopping.ucp.documents import openapi, payment_handler, profile
from marketplace.shopping.ucp.openapi import ROUTES
from marketplace.shopping.ucp.tools import mcp


def _served(root: str, version: str) -> list[URLPattern | URLResolver]:
    extra: dict[str, Any] = {"version": version}
    doors: dict[str, dict[str, str]] = defaultdict(dict)
    for name, (method, route) in ROUTES.items():
        doors[route.replace("{target}", "<str:target>")][method.upper()] = name
    return [
        *(path(f"{root}{route}", rest.endpoint(**methods), extra) for route, methods in doors.items()),
        path(f"{root}/mcp", mcp, extra),
        path(f"{root}/openapi.json", openapi, extra),
    ]


ucp_urls: list[URLPattern | URLResolver] = [
    path(".well-known/ucp", profile),
    path(f"ucp/{AUGUST}/.well-known/ucp", profile, {"version": AUGUST}),
    *_served("ucp", APRIL),
    *_served(f"ucp/{AUGUST}", AUGUST),
    path("ucp/payment-handler", payment_handler),
    path("ucp/continue/<str:checkout_id>/", pages.continue_checkout),
    path("ucp/orders/<str:token>/view/", pages.order),
]
