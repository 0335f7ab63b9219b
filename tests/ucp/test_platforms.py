"""Platforms that the operator knows, and what unknown ones leave behind."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client

from agentstore.kit.clock import now
from marketplace.shopping.models import UcpCart, UcpCheckout, UcpPlatform
from marketplace.shopping.ucp.forgetting import forget_abandoned
from marketplace.shopping.ucp.platforms import InvalidKeys, register_platform
from tests.ucp.test_signatures import jwk
from tests.ucp.world import PROFILE, card

KEY = jwk(ec.generate_private_key(ec.SECP256R1()), "k1")


@pytest.mark.parametrize(
    "keys",
    [
        "nonsense", [1], [{}], [KEY, KEY], [{**KEY, "d": "secret"}], [{**KEY, "x": "AAAA"}],
        [{name: value for name, value in KEY.items() if name != "y"}],
    ],
    ids=["text", "number", "nameless", "twice", "private", "off the curve", "half"],
)  # fmt: skip
def test_only_public_keys_are_entered(db, keys):
    with pytest.raises(InvalidKeys):
        register_platform(profile=PROFILE, keys=keys)
    assert not UcpPlatform.objects.exists()


def test_entering_again_takes_the_place_of_the_keys(db):
    register_platform(profile=PROFILE, keys=[KEY])
    register_platform(profile=PROFILE, keys=[{**KEY, "kid": "k2"}], must_sign=True)
    found = UcpPlatform.objects.get()
    assert ([key["kid"] for key in found.keys], found.must_sign) == (["k2"], True)


def test_the_operator_enters_them_and_nobody_else(olivia, charlie):
    olivia.is_superuser = True
    olivia.save()
    client = Client()
    client.force_login(charlie)
    form = {"profile": PROFILE, "keys": json.dumps([KEY]), "must_sign": "on"}
    assert client.post("/admin/shopping/ucpplatform/add/", form).status_code == 302
    assert not UcpPlatform.objects.exists()
    client.force_login(olivia)
    wrong = client.post("/admin/shopping/ucpplatform/add/", {**form, "keys": json.dumps([{**KEY, "d": "x"}])})
    assert b"This is a private key." in wrong.content
    assert client.post("/admin/shopping/ucpplatform/add/", form).status_code == 302
    found = UcpPlatform.objects.get()
    changed = {"keys": json.dumps([{**KEY, "kid": "k2"}])}
    assert client.post(f"/admin/shopping/ucpplatform/{found.pk}/change/", changed).status_code == 302
    found.refresh_from_db()
    assert (found.profile, found.keys[0]["kid"], found.must_sign) == (PROFILE, "k2", False)


def test_what_came_to_nothing_is_forgotten_and_what_was_bought_is_kept(platform, goods, processor):
    kettle = goods.kettle.variant.public_id
    line = {"line_items": [{"item": {"id": kettle}, "quantity": 1}]}
    platform.rest("POST", "carts", line, status=201)
    bought = platform.checkout(kettle)
    platform.rest("POST", f"checkout-sessions/{bought['id']}/complete", card())
    platform.checkout(kettle)
    assert forget_abandoned() == 0
    for rows in (UcpCart, UcpCheckout):
        rows.objects.update(expires_at=now() - timedelta(hours=25))
    assert forget_abandoned() >= 2
    assert not UcpCart.objects.exists()
    assert [checkout.pk for checkout in UcpCheckout.objects.all()] == [bought["id"]]
    assert platform.rest("GET", f"checkout-sessions/{bought['id']}")["status"] == "completed"
