"""Names for people of the opaque references that the books hold.

Organizations are known here; rooms above register how the references that they hand in are called.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable

from django.urls import reverse

from agentstore.identity.models import Organization, reference
from billing.models.ledger import PLATFORM

NameFinder = Callable[[set[str]], dict[str, str]]
_FINDERS: dict[str, NameFinder] = {}


def register_names(kind: str, find: NameFinder) -> None:
    """Have references `<kind>:…` named by this function, which leaves out those that it does not know."""
    _FINDERS[kind] = find


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
    for kind, find in _FINDERS.items():
        theirs = {ref for ref in wanted if ref.startswith(f"{kind}:")}
        if theirs:
            names |= find(theirs)
    return names


def merchant_page(merchant_ref: str) -> str:
    """The path of a merchant's billing page; empty for a reference that no organization bears."""
    try:
        organization_id = uuid.UUID(merchant_ref.removeprefix("org:"))
    except ValueError:
        return ""
    slug = Organization.objects.filter(pk=organization_id).values_list("slug", flat=True).first()
    return reverse("billing:merchant", args=[slug]) if slug else ""
