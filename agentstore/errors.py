"""The error pages. They say what happened and where to go next, and never what went wrong inside."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from agentstore.kit.refusals import render_refusal


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400"""
    return render_refusal(
        request, status=400, title="That request made no sense to us",
        message="Something in it was missing or malformed.", hint="Go back, reload the page and try again.",
    )  # fmt: skip


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403"""
    return render_refusal(
        request, status=403, title="You may not do this",
        message="Your account does not have the permission that this needs.",
        hint="If you were just signed out, sign in again and retry.",
    )  # fmt: skip


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403, when a form's proof of origin is missing or old."""
    return render_refusal(
        request, status=403, title="This form has expired",
        message="It was opened in another session, or your browser refuses the store's cookies.",
        hint="Go back, reload the page and send it again.",
    )  # fmt: skip


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404"""
    return render_refusal(
        request, status=404, title="Nothing here",
        message="The address is wrong, or what was here is gone or not yours to see.",
        hint="Check the address, or start again from the store.",
    )  # fmt: skip


def server_error(request: HttpRequest) -> HttpResponse:
    """500, drawn without the request: the database, and so the session, may be what is broken."""
    context = {
        "bare": True, "status": 500, "title": "That one is on us",
        "message": "Something broke on our side. Nothing was charged.", "hint": "Try again in a moment.",
    }  # fmt: skip
    htmx = request.headers.get("HX-Request") == "true"
    return HttpResponse(
        render_to_string("errors/toast.html" if htmx else "errors/error.html", context), status=500
    )
