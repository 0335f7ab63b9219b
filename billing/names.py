"""Names for people of the opaque references that the books hold."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.urls import reverse

from agentstore.identity.models import Organization, reference
from billing.models.ledger import PLATFORM


def names_of(refs: Iterable[str]) -> dict[str, str]:
    """The name behind each reference; a reference that nobody bears any more stands for itself."""
    wanted = set(refs)
    names = {ref: ref for ref in wanted} | ({PLATFORM: "The store"} if PLATFORM in wanted else {})
    ids = []
    for ref in wanted:
        kind, _, rest = ref.partition(":")
        if kind == "org":
            try:
                ids.append(uuid.UUID(rest))
            except ValueError:
                continue
    for organization_id, name in Organization.objects.filter(pk__in=ids).values_list("pk", "name"):
        names[reference(organization_id)] = name
    return names


def merchant_page(merchant_ref: str) -> str:
    """The path of a merchant's billing page; empty for a reference that no organization bears."""
    try:
        organization_id = uuid.UUID(merchant_ref.removeprefix("org:"))
    except ValueError:
        return ""
    slug = Organization.objects.filter(pk=organization_id).values_list("slug", flat=True).first()
    return reverse("billing:merchant", args=[slug]) if slug else ""
