"""What agents may know, what the store keeps, and how to take both back."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from agentstore.kit.clock import now
from marketplace.shopping import shoppers
from marketplace.shopping.models import Consent, Conversation, Shopper
from marketplace.shopping.privacy import delete_conversations, export_shopper
from marketplace.shopping.pseudonyms import pseudonym
from marketplace.shopping.shoppers import find_shopper, get_shopper

_EXPLAINED = {
    Consent.Scope.PROFILE: "Agents can read your sizes, your likes and the titles of what you bought.",
}


class AboutYouForm(forms.Form):
    """Where to ship to, and what agents with consent may know."""

    country = forms.CharField(
        label="Country",
        max_length=2,
        min_length=2,
        help_text="Two letters, as in US or DE. Agents show what ships there.",
    )
    birth_year = forms.IntegerField(
        label="Year of birth", required=False, min_value=1900,
        help_text="Only used by the store itself, for products with an age limit. Agents never see it.",
    )  # fmt: skip
    sizes = forms.CharField(
        label="Sizes", required=False, max_length=600, help_text="Separated by commas: M, EU 42"
    )
    likes = forms.CharField(
        label="Likes", required=False, max_length=600, help_text="Separated by commas: linen, green"
    )


@require_GET
def privacy(request: HttpRequest) -> HttpResponse:
    """The page."""
    return _page(request, find_shopper(request), None)


def _page(
    request: HttpRequest, shopper: Shopper | None, form: AboutYouForm | None, status: int = 200
) -> HttpResponse:
    given = shoppers.consents_in_force(shopper) if shopper else []
    facts = shopper.facts if shopper else {}
    initial = {
        "country": shopper.country if shopper else "US",
        "birth_year": shopper.birth_year if shopper else None,
        "sizes": ", ".join(facts.get("sizes", [])),
        "likes": ", ".join(facts.get("likes", [])),
    }
    context = {
        "consents": [
            (scope, Consent.Scope(scope).label, text, scope in given) for scope, text in _EXPLAINED.items()
        ],
        "known_as": _known_as(shopper),
        "conversation_count": Conversation.objects.filter(shopper=shopper).count() if shopper else 0,
        "form": form or AboutYouForm(initial=initial),
    }
    return render(request, "shop/privacy.html", context, status=status)


def _known_as(shopper: Shopper | None) -> list[tuple[str, str]]:
    if shopper is None:
        return []
    agents = Conversation.objects.filter(shopper=shopper).values_list("agent_id", "agent__name").distinct()
    return [
        (name, pseudonym(agent_id=agent_id, shopper_id=shopper.pk))
        for agent_id, name in agents.order_by("agent__name")[:50]
    ]


@require_POST
def consent(request: HttpRequest) -> HttpResponse:
    """Give or take back one consent."""
    shopper, scope = get_shopper(request), request.POST.get("scope", "")
    if request.POST.get("give"):
        shoppers.give_consent(shopper=shopper, scope=scope)
        messages.success(request, "Agents may know this in conversations you open from now on.")
    else:
        shoppers.withdraw_consent(shopper=shopper, scope=scope)
        messages.success(request, "Taken back. It stops at once, also in conversations that are open.")
    return redirect("shopping:privacy")


@require_POST
def about_you(request: HttpRequest) -> HttpResponse:
    """Save what the shopper says of themselves."""
    form = AboutYouForm(request.POST)
    if not form.is_valid():
        return _page(request, find_shopper(request), form, status=422)
    data = form.cleaned_data
    shoppers.describe_shopper(
        shopper=get_shopper(request), country=data["country"], birth_year=data["birth_year"],
        facts={key: data[key].split(",") for key in ("sizes", "likes")},
    )  # fmt: skip
    messages.success(request, "Saved.")
    return redirect("shopping:privacy")


@require_GET
def export(request: HttpRequest) -> HttpResponse:
    """All that the store keeps of the shopper, as a file."""
    shopper = find_shopper(request)
    data = export_shopper(shopper) if shopper else {"shopper": None}
    response = JsonResponse(data, json_dumps_params={"indent": 2, "ensure_ascii": False})
    response["Content-Disposition"] = f'attachment; filename="agent-store-{now():%Y-%m-%d}.json"'
    return response


@require_POST
def delete_all(request: HttpRequest) -> HttpResponse:
    """Delete all conversations."""
    shopper = find_shopper(request)
    count = delete_conversations(shopper=shopper) if shopper else 0
    messages.success(request, f"Deleted {count} conversation{'' if count == 1 else 's'}.")
    return redirect("shopping:privacy")
