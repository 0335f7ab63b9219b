"""The merchants' API: pushing items, prices, stock and whole feeds, reading reports. Authenticated by access token."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from typing import Any, Concatenate, Final, ParamSpec
from uuid import UUID

from django.core.files.base import File
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from agentstore.identity.models import Organization
from agentstore.identity.tokens import organization_by_token
from agentstore.kit.errors import Invalid, StoreError
from agentstore.kit.rates import count_call
from agentstore.kit.text import require_storable
from marketplace.catalog import shelf
from marketplace.catalog.feeds import start_import, start_roll_back
from marketplace.catalog.feeds.intake import MOST_BYTES, FeedTooLarge
from marketplace.catalog.feeds.pushing import push_items, push_offers
from marketplace.catalog.hostile.lists import marks_of_import
from marketplace.catalog.models import FeedImport

CALLS_PER_MINUTE: Final = 120
REFUSALS_AT_ONCE: Final = 500
_MOST_BODY: Final = 8_000_000
_CHUNK: Final = 65_536

P = ParamSpec("P")


class InvalidBody(Invalid):
    """The body is not what this operation takes."""

    code = "invalid_request"


def _endpoint(
    operation: Callable[Concatenate[HttpRequest, Organization, P], JsonResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A view for the merchant whose token came; refusals as problem details."""

    def view(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            merchant = organization_by_token(
                request.headers.get("Authorization", ""), kind=Organization.Kind.MERCHANT
            )
            count_call(
                f"merchant-api:{merchant.pk}",
                per_minute=CALLS_PER_MINUTE,
                hint="Send more items in one call, or a feed.",
            )
            require_storable(request.GET.dict())
            return operation(request, merchant, *args, **kwargs)
        except StoreError as refused:
            return JsonResponse(
                refused.as_problem(), status=refused.status, content_type="application/problem+json"
            )

    return view


def _body(request: HttpRequest) -> dict[str, Any]:
    content = request.read(_MOST_BODY + 1)
    if len(content) > _MOST_BODY:
        raise InvalidBody(f"A body has at most {_MOST_BODY // 1_000_000} MB.", hint="Send a feed instead.")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as broken:
        raise InvalidBody("The body is not JSON.") from broken
    if not isinstance(body, dict) or not isinstance(body.get("items"), list):
        raise InvalidBody("The body is one JSON object with a list “items”.")
    require_storable(body)
    return body


def _report(found: FeedImport) -> dict[str, Any]:
    return {
        "id": str(found.pk),
        "status": found.status,
        "dry_run": found.dry_run,
        "new": found.accepted,
        "changed": found.changed,
        "unchanged": found.unchanged,
        "refused": found.refused,
        "marked": marks_of_import(found).count(),
        "lines_read": found.lines_read,
        "error": found.error,
        "created_at": found.created_at.isoformat(),
        "ended_at": found.ended_at.isoformat() if found.ended_at else None,
        "url": reverse("catalog:api-import", args=[found.pk]),
    }


def _refusals(found: FeedImport, *, after: int) -> list[dict[str, Any]]:
    rows = shelf.refusals_of(found).filter(line__gt=after)[:REFUSALS_AT_ONCE]
    return [{"line": row.line, "id": row.item_id, "code": row.code, "message": row.message} for row in rows]


@csrf_exempt
@require_POST
@_endpoint
def items(request: HttpRequest, merchant: Organization) -> JsonResponse:
    """Whole items; the answer is the report, of an import that waits its turn where another is under way."""
    body = _body(request)
    found = push_items(merchant=merchant, items=body["items"], dry_run=body.get("dry_run") is True)
    report = {"import": _report(found), "refusals": _refusals(found, after=0)}
    return JsonResponse(report, status=202 if found.is_open else 200)


@csrf_exempt
@require_POST
@_endpoint
def offers(request: HttpRequest, merchant: Organization) -> JsonResponse:
    """Prices and stock of items that the store has."""
    outcome = push_offers(merchant=merchant, items=_body(request)["items"])
    refused = [
        {"index": one.index, "id": one.item_id, "code": one.code, "message": one.message}
        for one in outcome.refused
    ]
    return JsonResponse(
        {
            "changed": outcome.changed,
            "unchanged": outcome.unchanged,
            "refused": len(refused),
            "refusals": refused,
        }
    )


@csrf_exempt
@require_POST
@_endpoint
def imports(request: HttpRequest, merchant: Organization) -> JsonResponse:
    """A whole feed as the body; read by a worker. `filename` or `format` tells what it is."""
    asked = request.GET
    if asked.get("format", "") not in ("", *FeedImport.Format.values):
        raise InvalidBody(f"A format is one of {', '.join(FeedImport.Format.values)}.")
    with tempfile.TemporaryFile() as file:
        size = 0
        while chunk := request.read(_CHUNK):
            size += len(chunk)
            if size > MOST_BYTES:
                raise FeedTooLarge(f"A feed has at most {MOST_BYTES // 1_000_000} MB.")
            file.write(chunk)
        file.seek(0)
        started = start_import(
            merchant=merchant,
            source=File(file, name=asked.get("filename", "feed")),
            by=None,
            format=asked.get("format", ""),
            dry_run=asked.get("dry_run") == "true",
            via=FeedImport.Via.PUSH,
        )
    return JsonResponse({"import": _report(started)}, status=202)


@require_GET
@_endpoint
def report(request: HttpRequest, merchant: Organization, import_id: UUID) -> JsonResponse:
    """How far an import is, and the refused lines behind `after`."""
    after = request.GET.get("after", "0")
    found = shelf.import_of(merchant, import_id)
    return JsonResponse(
        {
            "import": _report(found),
            "refusals": _refusals(found, after=int(after) if after.isdecimal() and len(after) < 16 else 0),
        }
    )


@csrf_exempt
@require_POST
@_endpoint
def roll_back(request: HttpRequest, merchant: Organization, import_id: UUID) -> JsonResponse:
    """Take back what the latest import changed."""
    found = start_roll_back(
        import_id=import_id, merchant=merchant, by=None, reason="rolled back by a program"
    )
    return JsonResponse({"import": _report(found)}, status=202)
