"""Who is who in the tests.

Alice owns the studio, Bob is her teammate, Charlie is nobody's colleague and must be refused. Mia owns the
merchant. Olivia operates the store. Sam shops.
"""

from __future__ import annotations

import pytest

from agentstore.identity.models import Membership, Organization, User
from agentstore.identity.services import add_member, create_organization

PASSWORD = "correct horse battery staple"


def person(name: str, **fields) -> User:
    """A user with a verified address, as sign-up and verification leave it."""
    from allauth.account.models import EmailAddress

    user = User.objects.create_user(f"{name.lower()}@example.com", PASSWORD, name=name, **fields)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


@pytest.fixture
def alice(db) -> User:
    return person("Alice")


@pytest.fixture
def bob(db) -> User:
    return person("Bob")


@pytest.fixture
def charlie(db) -> User:
    return person("Charlie")


@pytest.fixture
def mia(db) -> User:
    return person("Mia")


@pytest.fixture
def olivia(db) -> User:
    return person("Olivia", is_staff=True)


@pytest.fixture
def sam(db) -> User:
    return person("Sam")


@pytest.fixture
def studio(alice: User, bob: User) -> Organization:
    organization = create_organization(kind="developer", name="Northwind Labs", owner=alice)
    add_member(organization=organization, user=bob, role=Membership.Role.MEMBER, by=alice)
    return organization


@pytest.fixture
def merchant(mia: User) -> Organization:
    return create_organization(kind="merchant", name="Audio Haus", owner=mia)
