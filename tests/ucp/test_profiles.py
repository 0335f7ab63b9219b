"""Platforms' profiles: fetched, kept, gone by; and what a request comes to when one cannot be had."""

from __future__ import annotations

from datetime import timedelta
from threading import BoundedSemaphore

import pytest
from django.core.cache import cache
from django.test import Client

from agentstore.kit.clock import now
from agentstore.kit.fetch import FetchFailed
from marketplace.catalog.ucp.versions import APRIL, AUGUST
from marketplace.shopping.models import UcpPlatform, UcpProfile
from marketplace.shopping.ucp import discovery
from marketplace.shopping.ucp.negotiation import (
    CAPABILITIES,
    CART,
    CHECKOUT,
    FULFILLMENT,
    ORDER,
    intersect,
)
from tests.ucp.profiles import PATH, document, telling
from tests.ucp.test_signatures import Signer, jwk, order
from tests.ucp.world import PROFILE, Platform, variant
from tests.web import body, lead_to


@pytest.fixture
def stranger(goods, servers) -> Platform:
    """A platform that the store has never heard of, at the test's own server."""
    cache.clear()
    servers[0].answers[PATH] = telling(document())
    return Platform(servers[0].url(PATH))


def lines(goods):
    return {"line_items": [{"item": {"id": variant(goods.kettle)}, "quantity": 1}]}


def refused(answer):
    return answer["messages"][0]["code"]


def test_an_unknown_platforms_profile_is_fetched_once_and_kept(stranger, goods, servers):
    stranger.rest("POST", "carts", lines(goods), status=201)
    stranger.rest("POST", "carts", lines(goods), status=201)
    assert [path for path, _ in servers[0].asked] == [PATH]
    row = UcpProfile.objects.get(profile=stranger.profile)
    assert (row.version, set(row.capabilities)) == (APRIL, set(CAPABILITIES))
    assert timedelta(minutes=4) < row.fresh_until - now() <= timedelta(minutes=5)


def test_only_what_both_can_do_counts(stranger, goods, servers):
    servers[0].answers[PATH] = telling(document([CHECKOUT, ORDER]))
    made = stranger.rest("POST", "checkout-sessions", lines(goods), status=201)
    assert set(made["ucp"]["capabilities"]) == {CHECKOUT}
    assert "fulfillment" not in made
    cart = stranger.rest("POST", "carts", lines(goods))
    assert (cart["ucp"]["status"], cart["ucp"]["capabilities"]) == ("error", {})
    assert refused(cart) == "capabilities_incompatible"
    assert cart["continue_url"]
    told = stranger.tool("create_cart", cart=lines(goods))
    assert refused(told["structuredContent"]) == "capabilities_incompatible"


@pytest.mark.parametrize(
    ("theirs", "shared"),
    [
        ({}, set()),
        ({CHECKOUT: [APRIL]}, {CHECKOUT}),
        ({CHECKOUT: [AUGUST, "2030-01-01"], "com.example.loyalty": [APRIL]}, {CHECKOUT}),
        ({CHECKOUT: ["2026-01-11"], CART: [APRIL]}, {CART}),
        ({FULFILLMENT: [APRIL]}, set()),
        ({FULFILLMENT: [APRIL], CHECKOUT: ["2026-01-11"]}, set()),
        ({FULFILLMENT: [APRIL], CHECKOUT: [APRIL]}, {FULFILLMENT, CHECKOUT}),
    ],
    ids=["nothing", "one", "newer too", "too old", "orphan", "parent too old", "extension"],
)
def test_the_intersection(theirs, shared):
    assert intersect(theirs) == shared


@pytest.mark.parametrize(
    ("told", "status", "code"),
    [
        (body(b"gone", 500), 424, "profile_unreachable"),
        (lead_to(PATH), 424, "profile_unreachable"),
        (body(b"x" * 200_000), 424, "profile_unreachable"),
        (body(b"<html>"), 422, "profile_malformed"),
        (body(b"[]"), 422, "profile_malformed"),
        (telling({"version": APRIL}), 422, "profile_malformed"),
        (telling(document(version="April")), 422, "profile_malformed"),
        (telling(document() | {"note": "\0"}), 422, "profile_malformed"),
        (body(b'{"ucp": "\\ud800"}'), 422, "profile_malformed"),
        (telling(document(version="2031-01-01")), 422, "version_unsupported"),
    ],
    ids=["error", "redirect", "large", "no JSON", "list", "bare", "version", "NUL", "half", "newer"],
)
def test_a_profile_that_cannot_be_had_or_read_is_said_so(stranger, goods, servers, told, status, code):
    servers[0].answers[PATH] = told
    answer = stranger.rest("POST", "carts", lines(goods), status=status)
    assert answer["code"] == code
    # The catalogue is everybody's.
    stranger.rest("POST", "catalog/search", {"query": ""})


def test_a_failure_is_given_again_without_another_fetch_for_a_while(stranger, goods, servers):
    servers[0].answers[PATH] = body(b"gone", 404)
    for _ in range(2):
        stranger.rest("POST", "carts", lines(goods), status=424)
    assert len(servers[0].asked) == 1


def test_a_slow_platform_is_waited_for_a_little_and_not_in_a_line(stranger, goods, servers, monkeypatch):
    monkeypatch.setattr(discovery, "_WAIT_SECONDS", 0.2)
    servers[0].answers[PATH] = lambda handler: servers[0].stop.wait(20)
    assert stranger.rest("POST", "carts", lines(goods), status=424)["code"] == "profile_unreachable"
    monkeypatch.setattr(discovery, "_slots", BoundedSemaphore(0))
    other = Client().post(
        "/ucp/carts", lines(goods), content_type="application/json",
        headers={"UCP-Agent": f'profile="{servers[0].url("/other")}"'},
    )  # fmt: skip
    assert (other.status_code, other.json()["code"]) == (503, "profile_discovery_busy")
    assert other["Retry-After"] == "5"


def test_what_is_not_public_is_not_fetched(goods, servers, settings):
    cache.clear()
    servers[1].answers[PATH] = telling(document())
    settings.FETCH_ALLOWED_NETWORKS = ["127.0.0.1/32"]
    inside = Platform(servers[1].url(PATH))
    assert inside.rest("POST", "carts", lines(goods), status=400)["code"] == "invalid_profile_url"
    hidden = Platform(f"https://127.0.0.2:{servers[1].server_address[1]}{PATH}")
    assert hidden.rest("POST", "carts", lines(goods), status=424)["code"] == "profile_unreachable"
    settings.LIVE = True
    plain = Platform(servers[0].url(PATH))
    assert plain.rest("POST", "carts", lines(goods), status=400)["code"] == "invalid_profile_url"
    assert not servers[0].asked
    assert not servers[1].asked


def test_a_profile_past_its_time_is_used_while_a_worker_fetches_it_again(stranger, goods, servers):
    stranger.rest("POST", "carts", lines(goods), status=201)
    UcpProfile.objects.update(fresh_until=now() - timedelta(minutes=1), etag='"1"')
    stranger.rest("POST", "carts", lines(goods), status=201)
    assert len(servers[0].asked) == 1
    servers[0].answers[PATH] = body(b"", 304)
    row = discovery.refresh_profile(stranger.profile)
    assert row.fresh_until > now()
    assert servers[0].asked[-1][1]["If-None-Match"] == '"1"'
    assert set(row.capabilities) == set(CAPABILITIES)
    UcpProfile.objects.update(fresh_until=now() - timedelta(hours=25))
    servers[0].answers[PATH] = body(b"gone", 500)
    stranger.rest("POST", "carts", lines(goods), status=424)


def test_a_platform_that_the_operator_entered_never_waits(stranger, goods, servers):
    servers[0].answers[PATH] = body(b"gone", 500)
    UcpPlatform.objects.create(profile=stranger.profile)
    stranger.rest("POST", "carts", lines(goods), status=201)
    assert not servers[0].asked


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("max-age=600", 600),
        ("max-age=1", 60),
        ("public, max-age=9999999", 86_400),
        ("no-store", 60),
        ("", 300),
    ],
)
def test_how_long_a_profile_is_kept(header, seconds):
    assert discovery._lifetime(header) == timedelta(seconds=seconds)


def test_a_profiles_own_keys_prove_its_platform_and_new_ones_are_looked_for(stranger, goods, servers):
    signer = Signer(profile=stranger.profile)
    charlie = Signer(profile=PROFILE)
    servers[0].answers[PATH] = telling(document(signing_keys=[jwk(signer.key, "k1")]))
    made = signer.send("POST", "carts", order(goods))
    assert made.status_code == 201
    path = f"carts/{made.json()['id']}"
    assert charlie.send("GET", path).json()["code"] == "key_not_found"
    assert refused(stranger.rest("GET", path)) == "not_found"
    newer = Signer("k2", profile=stranger.profile)
    servers[0].answers[PATH] = telling(document(signing_keys=[jwk(newer.key, "k2")]))
    assert newer.send("GET", path).json()["code"] == "key_not_found"
    UcpProfile.objects.update(fetched_at=now() - timedelta(minutes=2))
    assert newer.send("GET", path).json()["id"] == made.json()["id"]
    assert signer.send("GET", path).json()["code"] == "key_not_found"


def test_profiles_that_nobody_came_with_are_forgotten(stranger, goods):
    stranger.rest("POST", "carts", lines(goods), status=201)
    assert discovery.forget_profiles() == 0
    UcpProfile.objects.filter(profile=stranger.profile).update(fetched_at=now() - timedelta(days=31))
    assert discovery.forget_profiles() == 1


def test_nothing_is_known_of_a_profile_that_says_it_has_not_changed(stranger, servers):
    servers[0].answers[PATH] = body(b"", 304)
    with pytest.raises(discovery.ProfileUnreachable) as caught:
        discovery.discover(stranger.profile)
    assert isinstance(caught.value.__cause__, FetchFailed)
