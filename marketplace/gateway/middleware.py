"""The gateway process answers in JSON, whatever happens."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils.deprecation import MiddlewareMixin

from agentstore.kit.errors import StoreError

PROBLEM = "application/problem+json"


class ProblemMiddleware(MiddlewareMixin):
    """Turns a StoreError into RFC 9457 problem details."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> JsonResponse | None:
        """Django's hook for exceptions raised by a view."""
        return problem(exception) if isinstance(exception, StoreError) else None


def problem(error: StoreError) -> JsonResponse:
    """The error as problem details; clients of model APIs find the same under `error`."""
    body: dict[str, Any] = error.as_problem()
    body["error"] = {
        "message": f"{error.message} {error.hint}".strip(),
        "type": error.code,
        "code": error.code,
    }
    return JsonResponse(body, status=error.status, content_type=PROBLEM)


def _plain(status: int, code: str, title: str) -> JsonResponse:
    body = {"type": f"urn:agentstore:error:{code}", "title": title, "status": status, "code": code}
    return JsonResponse(body, status=status, content_type=PROBLEM)


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    """400"""
    return _plain(400, "invalid", "The request makes no sense.")


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """404"""
    return _plain(
        404, "not_found", "There is nothing at this address; docs/guides/tools.md lists what there is."
    )


def server_error(request: HttpRequest) -> JsonResponse:
    """500"""
    return _plain(500, "internal_error", "Something broke on the platform's side.")
