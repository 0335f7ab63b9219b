"""Typed errors over REST: RFC 9457 problem details."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_handler

from agentstore.kit.errors import StoreError


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: StoreErrors as problem details, DRF's own errors in the same shape."""
    if isinstance(error, StoreError):
        return Response(error.as_problem(), status=error.status, content_type="application/problem+json")
    response = drf_handler(error, context)
    if response is not None:
        code = getattr(error, "default_code", "error")
        response.data = {
            "type": f"urn:agentstore:error:{code}",
            "title": str(getattr(error, "default_detail", "The request was refused.")),
            "status": response.status_code,
            "code": code,
            "details": response.data,
        }
        response.content_type = "application/problem+json"
    return response
