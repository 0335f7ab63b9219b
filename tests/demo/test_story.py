"""What the demo puts into a store, and that it can be told twice."""

from __future__ import annotations

import io
import zipfile

import pytest
from allauth.account.models import EmailAddress
from django.core.files.base import ContentFile

from agentstore.demo.people import DEVELOPER, MERCHANT, OPERATOR, PASSWORD, PEOPLE, STUDIO, ensure_people
from agentstore.demo.publish import pack
from agentstore.demo.story import AGENTS, ensure_rules
from agentstore.identity.models import Membership, Organization, User
from agentstore.identity.services import create_organization
from marketplace.catalog.feeds import run_import, start_import
from marketplace.shopping.models import NegotiationRule

FEED = b"""id,title,price,availability,quantity,product_category
a,Mug,9 USD,in_stock,5,Home > Mugs
b,Pen,2 USD,in_stock,5,Office
"""


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


@pytest.mark.django_db
def test_every_second_merchant_negotiates_all_that_it_sells(settings, tmp_path):
    settings.DATA_DIR, settings.MEDIA_ROOT = tmp_path, tmp_path / "media"
    ensure_people()
    mia = User.objects.get(email=MERCHANT.email)
    for name in ("Acorn", "Brook", "Cedar"):
        merchant = create_organization(kind="merchant", name=name, owner=mia)
        started = start_import(
            merchant=merchant, source=ContentFile(FEED, name="feed.csv"), by=mia, enqueue=False
        )
        assert run_import(import_id=started.pk).accepted == 2
    ensure_rules()
    ensure_rules()
    rules = NegotiationRule.objects.values_list("merchant__name", "category__slug")
    assert sorted(rules) == [(name, slug) for name in ("Acorn", "Cedar") for slug in ("home", "office")]


def test_a_bundle_is_the_same_each_time_it_is_packed():
    source = AGENTS / "concierge"
    bundle = pack(source)
    assert bundle == pack(source)
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        assert archive.read("agent.toml") == (source / "agent.toml").read_bytes()
