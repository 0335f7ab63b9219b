"""Who is who in the demo. The passwords are for a store that only this machine can reach."""

from __future__ import annotations

from dataclasses import dataclass

from allauth.account.models import EmailAddress
from django.db import transaction

from agentstore.identity.models import Organization, User
from agentstore.identity.services import create_organization

PASSWORD = "try-the-store"  # noqa: S105 (printed by the demo on purpose)
STUDIO = "Northwind Labs"


@dataclass(frozen=True)
class Person:
    """A login, and what it is for."""

    name: str
    role: str
    operator: bool = False

    @property
    def email(self) -> str:
        """Their address; nothing is ever sent to example.com."""
        return f"{self.name.lower()}@example.com"


OPERATOR = Person("Olivia", "operator: review queue, fees, ledger", operator=True)
SHOPPER = Person("Sam", "shopper: talk to an agent, buy")
DEVELOPER = Person("Alice", f"developer at {STUDIO}: agents, traces, earnings")
MERCHANT = Person("Mia", "merchant: offers, budgets, orders")
PEOPLE = (SHOPPER, DEVELOPER, MERCHANT, OPERATOR)


@transaction.atomic
def ensure_people() -> None:
    """Make the people and the studio, verified and with their demo password. Idempotent."""
    users = {person.name: _ensure_user(person) for person in PEOPLE}
    if not Organization.objects.developers().filter(name=STUDIO).exists():
        create_organization(kind=Organization.Kind.DEVELOPER, name=STUDIO, owner=users[DEVELOPER.name])


def _ensure_user(person: Person) -> User:
    user = User.objects.filter(email=person.email).first()
    if user is None:
        user = User.objects.create_user(
            person.email, PASSWORD, name=person.name, is_staff=person.operator, is_superuser=person.operator
        )
    EmailAddress.objects.get_or_create(
        user=user, email=user.email, defaults={"verified": True, "primary": True}
    )
    return user
