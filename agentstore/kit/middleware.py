"""Typed errors that a view lets through, as a page or, for htmx, a message to show in place."""

from __future__ import annotations

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin
from django_htmx.http import HttpResponseClientRedirect

from agentstore.kit.errors import StoreError, Unauthenticated
from agentstore.kit.refusals import render_refusal


class StoreErrorMiddleware(MiddlewareMixin):
    """Turns a StoreError into an answer with its status; every other exception goes on.

    MiddlewareMixin serves synchronous and asynchronous chains alike, and with no process_request or
    process_response of its own an asynchronous view never leaves the event loop here.
    """

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Django's hook for exceptions raised by a view."""
        if not isinstance(exception, StoreError):
            return None
        if isinstance(exception, Unauthenticated):
            return self._to_sign_in(request)
        return render_refusal(request, status=exception.status, title=exception.message, hint=exception.hint)

    def _to_sign_in(self, request: HttpRequest) -> HttpResponse:
        """The sign-in form, and back afterwards to the page that asked, not to a fragment of it."""
        htmx = getattr(request, "htmx", None)
        if not htmx:
            return redirect_to_login(request.get_full_path())
        page = htmx.current_url_abs_path or "/"
        return HttpResponseClientRedirect(redirect_to_login(page).url)
