"""Documents for platforms: the profile, the operations as OpenAPI, the payment handler's specification."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from marketplace.catalog.ucp.versions import APRIL, speaking
from marketplace.shopping.ucp.openapi import openapi_document
from marketplace.shopping.ucp.payment import handler_specification
from marketplace.shopping.ucp.profile import profile_document


@require_GET
def profile(request: HttpRequest, version: str = APRIL) -> JsonResponse:
    """`/.well-known/ucp`: which services and capabilities there are and where."""
    with speaking(version):
        return _published(profile_document())


@require_GET
def openapi(request: HttpRequest, version: str = APRIL) -> JsonResponse:
    """Every REST operation with its arguments."""
    with speaking(version):
        return _published(openapi_document())


@require_GET
def payment_handler(request: HttpRequest) -> JsonResponse:
    """What the store's payment handler takes."""
    return _published(handler_specification())


def _published(document: dict[str, object]) -> JsonResponse:
    response = JsonResponse(document)
    response["Cache-Control"] = "public, max-age=300"
    return response
