"""Typed errors that a view lets through, as a page or, for htmx, a message to show in place."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

from agentstore.kit.errors import StoreError, Unauthenticated


class StoreErrorMiddleware(MiddlewareMixin):
    """Turns a StoreError into an answer with its status; every other exception goes on."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Django's hook for exceptions raised by a view."""
        if not isinstance(exception, StoreError):
            return None
        if isinstance(exception, Unauthenticated):
            from django.contrib.auth.views import redirect_to_login

            return redirect_to_login(request.get_full_path())
        context = {
            "status": exception.status, "title": exception.message, "message": "", "hint": exception.hint,
        }  # fmt: skip
        template = "errors/toast.html" if getattr(request, "htmx", False) else "errors/error.html"
        return render(request, template, context, status=exception.status)
