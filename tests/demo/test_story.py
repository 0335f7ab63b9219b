"""What the demo puts into a store, and that it can be told twice."""

from __future__ import annotations

import io
import zipfile

import pytest
from allauth.account.models import EmailAddress

from agentstore.demo.people import DEVELOPER, OPERATOR, PASSWORD, PEOPLE, STUDIO, ensure_people
from agentstore.demo.publish import pack
from agentstore.demo.story import AGENTS
from agentstore.identity.models import Membership, Organization, User


@pytest.mark.django_db
def test_the_people_are_there_once_verified_and_can_sign_in(client):
    ensure_people()
    ensure_people()
    assert User.objects.count() == len(PEOPLE)
    assert EmailAddress.objects.filter(verified=True, primary=True).count() == len(PEOPLE)
    assert User.objects.get(is_staff=True).email == OPERATOR.email
    studio = Organization.objects.get(name=STUDIO)
    assert studio.memberships.get().role == Membership.Role.OWNER
    answer = client.post("/account/login/", {"login": DEVELOPER.email, "password": PASSWORD})
    assert answer.status_code == 302
    assert client.get(f"/developer/{studio.slug}/").status_code == 200


def test_a_bundle_is_the_same_each_time_it_is_packed():
    source = AGENTS / "concierge"
    bundle = pack(source)
    assert bundle == pack(source)
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        assert archive.read("agent.toml") == (source / "agent.toml").read_bytes()
