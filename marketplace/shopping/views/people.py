"""Who is asking."""

from __future__ import annotations

from django.http import HttpRequest

from agentstore.identity.models import User
from agentstore.kit.errors import Unauthenticated


def signed_in(request: HttpRequest) -> User:
    """The person. Raises Unauthenticated, which pages answer with the sign-in form."""
    if not request.user.is_authenticated:
        raise Unauthenticated("Sign in first.")
    return request.user
