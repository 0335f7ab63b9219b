"""UCP over REST. Public: a platform says who it is, and proves it where it signs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from agentstore.kit.errors import Invalid, StoreError
from agentstore.kit.rates import count_call
from agentstore.kit.signatures import sign_response
from agentstore.kit.text import require_storable
from marketplace.catalog.ucp.versions import APRIL, speaking
from marketplace.shopping.ucp.answers import Answer, refusal
from marketplace.shopping.ucp.callers import read_caller
from marketplace.shopping.ucp.operations import OPERATIONS

CALLS_PER_MINUTE: Final = 600
View = Callable[..., HttpResponse]


class InvalidBody(Invalid):
    """The body is no JSON object."""

    code = "invalid_request"


def limit_caller(request: HttpRequest) -> None:
    """Count a call of this address. Raises TooManyCalls past the limit of the running minute."""
    count_call(
        f"ucp:{request.META.get('REMOTE_ADDR', '')}",
        per_minute=CALLS_PER_MINUTE,
        hint="Wait for the next minute, or ask in batches.",
    )


def endpoint(**methods: str) -> View:
    """A view that answers each HTTP method with the operation of that name.

    A version in the path goes before none, and behind the one that UCP-Agent asks for.
    """

    @csrf_exempt
    def view(request: HttpRequest, target: str = "", version: str = APRIL) -> HttpResponse:
        operation = OPERATIONS.get(methods.get(str(request.method), ""))
        if operation is None:
            refused = HttpResponse(status=405)
            refused["Allow"] = ", ".join(methods)
            return refused
        try:
            limit_caller(request)
            caller = read_caller(request)
            with speaking(version):
                answer = operation.run(caller, read_body(request), target)
        except StoreError as error:
            answer = Answer(refusal(error), error.status)
        response = JsonResponse(answer.body, status=answer.status)
        if later := answer.body.get("details", {}).get("retry_after"):
            response["Retry-After"] = str(later)
        return sign_response(response)

    return view


def read_body(request: HttpRequest) -> dict[str, Any]:
    """The body as an object; nothing sent is an empty one. Raises InvalidBody, Unstorable."""
    try:
        body = json.loads(request.body or b"{}", parse_constant=_no_number)
    except (ValueError, RecursionError) as broken:
        raise InvalidBody("The body is not JSON.") from broken
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise InvalidBody("The body is one JSON object.")
    require_storable(body)
    return body


def _no_number(text: str) -> None:
    raise ValueError(text)
