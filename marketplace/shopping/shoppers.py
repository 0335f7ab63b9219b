"""Who is shopping: somebody known by a session alone, or a person who signed in."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.db import IntegrityError, transaction
from django.dispatch import receiver
from django.http import HttpRequest

from agentstore.identity.models import User
from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from marketplace.shopping.models import Cart, CartLine, Checkout, Consent, Conversation, Order, Shopper

SESSION_KEY = "shopper_id"
_MOST_OF_ONE = 99


def find_shopper(request: HttpRequest) -> Shopper | None:
    """The request's shopper, None when nothing made one yet. Writes nothing."""
    if request.user.is_authenticated:
        return Shopper.objects.filter(user=request.user).first()
    known = request.session.get(SESSION_KEY)
    return Shopper.objects.filter(pk=known, user=None).first() if known else None


def get_shopper(request: HttpRequest) -> Shopper:
    """The request's shopper, made when there is none yet: the person's own, else the session's."""
    found = find_shopper(request)
    if found is not None:
        return found
    if request.user.is_authenticated:
        return _shopper_of(request.user)
    shopper = Shopper.objects.create()
    request.session[SESSION_KEY] = str(shopper.pk)
    return shopper


def _shopper_of(user: User) -> Shopper:
    try:
        with transaction.atomic():
            return Shopper.objects.create(user=user)
    except IntegrityError:
        # A request of the same person was faster.
        return Shopper.objects.get(user=user)


@transaction.atomic
def join_shopper(*, shopper_id: uuid.UUID, user: User) -> Shopper:
    """Make a session's shopper the person's. What both did, conversations, carts, orders, becomes one.

    A shopper that is another person's is left alone: the person gets their own.
    """
    mine = Shopper.objects.select_for_update().filter(user=user).first()
    guest = Shopper.objects.select_for_update().filter(pk=shopper_id, user=None).first()
    if guest is None:
        return mine or _shopper_of(user)
    if mine is None:
        guest.user = user
        guest.save(update_fields=["user"])
        return guest
    Conversation.objects.filter(shopper=guest).update(shopper=mine)
    Order.objects.filter(shopper=guest).update(shopper=mine)
    _merge_checkouts(guest, mine)
    _merge_carts(guest, mine)
    # Consent given as a guest is not carried over: what the person decided while signed in stands.
    if not guest.checkouts.exists():
        guest.delete()
    return mine


def _merge_checkouts(guest: Shopper, mine: Shopper) -> None:
    # A shopper has one open checkout; where both have one, the guest's expires by itself and returns its
    # stock.
    Checkout.objects.filter(shopper=guest).exclude(status=Checkout.Status.OPEN).update(shopper=mine)
    waiting = Checkout.objects.filter(shopper=guest, status=Checkout.Status.OPEN)
    if not Checkout.objects.filter(shopper=mine, status=Checkout.Status.OPEN).exists():
        waiting.update(shopper=mine)


def _merge_carts(guest: Shopper, mine: Shopper) -> None:
    theirs = Cart.objects.filter(shopper=guest).first()
    if theirs is None:
        return
    cart, _ = Cart.objects.get_or_create(shopper=mine)
    for line in theirs.lines.all():
        kept, made = CartLine.objects.get_or_create(
            cart=cart, offer_id=line.offer_id,
            defaults={
                "quantity": line.quantity, "seen_price_micros": line.seen_price_micros,
                "recommendation_id": line.recommendation_id, "added_at": line.added_at,
            },
        )  # fmt: skip
        if not made:
            kept.quantity = min(_MOST_OF_ONE, kept.quantity + line.quantity)
            kept.recommendation_id = kept.recommendation_id or line.recommendation_id
            kept.save(update_fields=["quantity", "recommendation"])
    theirs.delete()


@receiver(user_logged_in, dispatch_uid="shopping.join_shopper")
def join_on_sign_in(sender: Any, request: HttpRequest | None, user: User, **_: Any) -> None:
    """Django's signal: the session's shopper becomes the person's."""
    known = (
        request.session.pop(SESSION_KEY, None)
        if request is not None and hasattr(request, "session")
        else None
    )
    if known:
        join_shopper(shopper_id=uuid.UUID(known), user=user)


@transaction.atomic
def give_consent(*, shopper: Shopper, scope: str) -> Consent:
    """Allow agents what a scope says, in conversations opened from now on. Idempotent."""
    consent, _ = Consent.objects.get_or_create(shopper=shopper, scope=_known_scope(scope), withdrawn_at=None)
    return consent


@transaction.atomic
def withdraw_consent(*, shopper: Shopper, scope: str) -> None:
    """Take a consent back. It stops at once, also in conversations that are open."""
    Consent.objects.filter(shopper=shopper, scope=_known_scope(scope), withdrawn_at=None).update(
        withdrawn_at=now()
    )


def consents_in_force(shopper: Shopper) -> list[str]:
    """The scopes that the shopper allows at this instant, sorted."""
    return sorted(shopper.consents.filter(withdrawn_at=None).values_list("scope", flat=True))


def _known_scope(scope: str) -> str:
    if scope not in Consent.Scope.values:
        raise Invalid("There is no such consent.")
    return scope


_FACTS = ("sizes", "likes")


@transaction.atomic
def describe_shopper(
    *, shopper: Shopper, country: str, birth_year: int | None, facts: dict[str, list[str]]
) -> Shopper:
    """Set where to ship to, the year of birth (None: not said), and the facts for agents with consent.

    Raises Invalid for a country that is no ISO 3166-1 alpha-2 code or a year nobody was born in.
    """
    country = country.strip().upper()
    if len(country) != 2 or not country.isascii() or not country.isalpha():
        raise Invalid("A country is two letters, as in US or DE.")
    if birth_year is not None and not 1900 <= birth_year <= now().year:
        raise Invalid("That is no year of birth.")
    shopper.country, shopper.birth_year = country, birth_year
    shopper.facts = {
        key: [fact.strip()[:60] for fact in facts.get(key, []) if fact.strip()][:20] for key in _FACTS
    }
    shopper.save(update_fields=["country", "birth_year", "facts"])
    return shopper
