"""Who is asking."""

from __future__ import annotations

from django.http import HttpRequest

from agentstore.identity.access import organization_for
from agentstore.identity.models import Organization, User
from agentstore.kit.errors import Unauthenticated


def signed_in(request: HttpRequest) -> User:
    """The person. Raises Unauthenticated, which pages answer with the sign-in form."""
    if not request.user.is_authenticated:
        raise Unauthenticated("Sign in first.")
    return request.user


def merchant_for(request: HttpRequest, slug: str) -> Organization:
    """The merchant that the person is a member of. Raises Unauthenticated, NotFound."""
    return organization_for(signed_in(request), slug, kind=Organization.Kind.MERCHANT)
