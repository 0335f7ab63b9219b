"""What every page has around it: typed errors that a view lets through, and text that no database keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

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


class ZeroCharacterMiddleware(MiddlewareMixin):
    """Refuses an address or a form with the zero character, which PostgreSQL and the index keep nowhere.

    Programs' doors, which are those that want no form's token, refuse as programs read it (kit.text).
    """

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Django's hook before a view; the check of a form's token has read the form by then."""
        if getattr(view, "csrf_exempt", False) or not any("\x00" in text for text in _texts(request)):
            return None
        return render_refusal(
            request, status=400, title="There is a zero character in that", hint="Leave it out and try again."
        )


def _texts(request: HttpRequest) -> Iterator[str]:
    yield request.path
    for fields in (request.GET, request.POST):
        for name, values in fields.lists():
            yield name
            yield from values
