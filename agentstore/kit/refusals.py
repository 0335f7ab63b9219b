"""A refusal as a person sees it: a whole page or, for htmx, a toast in the page that asked."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def render_refusal(
    request: HttpRequest, *, status: int, title: str, message: str = "", hint: str = ""
) -> HttpResponse:
    """The error page with its status; for htmx a toast, whatever part of the page the request aimed at."""
    context = {"status": status, "title": title, "message": message, "hint": hint}
    # Set by HtmxMiddleware, which may not have run yet when a request fails early.
    if not getattr(request, "htmx", False):
        return render(request, "errors/error.html", context, status=status)
    response = render(request, "errors/toast.html", context, status=status)
    response["HX-Retarget"] = "#toasts"
    response["HX-Reswap"] = "beforeend"
    response["HX-Reselect"] = "unset"
    response["HX-Push-Url"] = "false"
    return response
