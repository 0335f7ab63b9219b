"""What every page's navigation needs to know about the person."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from agentstore.identity.models import Organization


def workspaces(request: HttpRequest) -> dict[str, Any]:
    """`workspaces.developer` and `workspaces.merchant`: the person's organizations, read when looked at."""

    def load() -> dict[str, list[Organization]]:
        found: dict[str, list[Organization]] = {"developer": [], "merchant": []}
        user = getattr(request, "user", None)
        if user is not None and user.is_authenticated:
            for organization in Organization.objects.filter(memberships__user=user):
                found[organization.kind].append(organization)
        return found

    return {"workspaces": SimpleLazyObject(load)}
