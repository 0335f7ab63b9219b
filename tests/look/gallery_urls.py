"""The store's addresses and one page more, which shows every component (tests/look/gallery.html)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from django import forms
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.urls import path

from agentstore import urls as store


class GalleryForm(forms.Form):
    """One field of each kind, unbound or with errors."""

    name = forms.CharField(help_text="What shoppers see.")
    email = forms.EmailField(required=False)
    category = forms.ChoiceField(choices=[("a", "Audio"), ("h", "Home")])
    package = forms.FileField(label="Agent package (.zip)", required=False)
    notes = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), label="Release notes", required=False)
    agree = forms.BooleanField(label="Tests may run")
    plan = forms.ChoiceField(widget=forms.RadioSelect, choices=[("p", "Pause"), ("o", "Stay unbilled")])
    skills = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple, choices=[("c", "Chat"), ("n", "Negotiate")], required=False
    )


def gallery(request: HttpRequest) -> HttpResponse:
    """Every component on one page."""
    names = ["Bargain Scout", "Fit & Find", "Pantry Pilot", "Gift Whisperer", "Refurb Ranger"]
    tagline = "Compares stores and finds the lowest total price, with shipping and coupons counted."
    days = range(1, 22)
    context = {
        "crumbs": [("Developer", "#"), ("Northwind Labs", "#"), ("Bargain Scout", "")],
        "actions": [("Upload a version", "#", ""), ("Settings", "#", "")],
        "agents": [
            SimpleNamespace(name=name, tagline=tagline, developer=SimpleNamespace(name="Northwind Labs"))
            for name in names
        ],
        "facts": ["310 orders", "1.1 s", "$0.02 per chat"],
        "trend": [4, 5, 5, 4, 3, 3, 4, 5],
        "labels": [f"{day:02} Nov" for day in days],
        "series": [
            {"name": "Visits", "values": [800 + (day * 137) % 700 for day in days]},
            {"name": "Orders ×10", "values": [600 + (day * 91) % 500 for day in days]},
        ],
        "empty": [],
        "statuses": ["paid", "pending", "refunded", "failed", "draft"],
        "pairs": [("Image", "sha256:0f1e"), ("Version", "2.4.0"), ("Started in", "412 ms")],
        "log": "INFO ready\nWARN catalogue answered 429, waiting\n",
        "page": Paginator(range(30), 10).page(2),
        "form": GalleryForm({"email": "no"}) if "errors" in request.GET else GalleryForm(),
    }
    source = (Path(__file__).parent / "gallery.html").read_text()
    return HttpResponse(Template(source).render(RequestContext(request, context)))


def broken(request: HttpRequest) -> HttpResponse:
    """Fails as a view with a mistake in it would."""
    raise RuntimeError("on purpose")


urlpatterns = [path("gallery/", gallery), path("broken/", broken), *store.urlpatterns]
handler400, handler403, handler404, handler500 = (
    store.handler400, store.handler403, store.handler404, store.handler500,
)  # fmt: skip
