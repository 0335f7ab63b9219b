"""The access tokens of an organization, for its owners and admins."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from agentstore.identity.access import MANAGERS, membership_for, signed_in_user
from agentstore.identity.forms import TokenForm
from agentstore.identity.tokens import TooManyTokens, issue_token, revoke_token


@never_cache
@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest, slug: str) -> HttpResponse:
    """The tokens, and the form for another. A POST answers with the new one's secret, this once."""
    acting = membership_for(signed_in_user(request), slug, roles=MANAGERS)
    form = TokenForm(request.POST or None)
    secret = ""
    if request.method == "POST" and form.is_valid():
        try:
            _, secret = issue_token(
                organization=acting.organization, by=acting.user, name=form.cleaned_data["name"]
            )
            form = TokenForm()
        except TooManyTokens as refused:
            form.add_error("name", f"{refused.message} {refused.hint}")
    context = {
        "organization": acting.organization,
        "tokens": acting.organization.access_tokens.select_related("issued_by", "revoked_by"),
        "form": form,
        "secret": secret,
    }
    return render(request, "identity/tokens.html", context, status=422 if form.errors else 200)


@require_POST
def revoke(request: HttpRequest, slug: str, token: uuid.UUID) -> HttpResponse:
    """End a token."""
    acting = membership_for(signed_in_user(request), slug, roles=MANAGERS)
    ended = revoke_token(token_id=token, organization=acting.organization, by=acting.user)
    messages.success(request, f"“{ended.name}” opens nothing any more.")
    return redirect("identity:tokens", slug=slug)
