"""The error pages. They say what happened and where to go next, and never what went wrong inside."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def _page(request: HttpRequest, *, status: int, title: str, message: str, hint: str) -> HttpResponse:
    context = {"status": status, "title": title, "message": message, "hint": hint}
    return render(request, "errors/error.html", context, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400"""
    return _page(
        request, status=400, title="That request made no sense to us",
        message="Something in it was missing or malformed.", hint="Go back, reload the page and try again.",
    )  # fmt: skip


def forbidden(request: HttpRequest, exception: Exception | None = None, reason: str = "") -> HttpResponse:
    """403, also for a failed CSRF check."""
    return _page(
        request, status=403, title="You may not do this",
        message="Your account does not have the permission that this needs.",
        hint="If you were just signed out, sign in again and retry.",
    )  # fmt: skip


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404"""
    return _page(
        request, status=404, title="Nothing here",
        message="The address is wrong, or what was here is gone or not yours to see.",
        hint="Check the address, or start again from the store.",
    )  # fmt: skip


def server_error(request: HttpRequest) -> HttpResponse:
    """500"""
    return _page(
        request, status=500, title="That one is on us",
        message="Something broke on our side. Nothing was charged.", hint="Try again in a moment.",
    )  # fmt: skip
