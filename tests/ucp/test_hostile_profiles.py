"""Profiles written to hurt, and strangers who would use the store to look around or keep others out."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import BoundedSemaphore

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.cache import cache
from django.test import Client

from agentstore.kit.clock import now
from marketplace.shopping.models import UcpProfile
from marketplace.shopping.ucp import discovery
from marketplace.shopping.ucp.negotiation import CAPABILITIES, ORDER
from tests.ucp.profiles import PATH, document, telling
from tests.ucp.test_signatures import Signer, jwk, order
from tests.ucp.world import Platform, variant
from tests.web import body


@pytest.fixture
def stranger(goods, servers) -> Platform:
    """A platform that the store has never heard of, at the test's own server."""
    cache.clear()
    servers[0].answers[PATH] = telling(document())
    return Platform(servers[0].url(PATH))


def lines(goods):
    return {"line_items": [{"item": {"id": variant(goods.kettle)}, "quantity": 1}]}


def come(profile, goods, address="10.9.0.1"):
    """A cart for whoever has this profile, from this address."""
    return Client(REMOTE_ADDR=address).post(
        "/ucp/carts", lines(goods), content_type="application/json",
        headers={"UCP-Agent": f'profile="{profile}"'},
    )  # fmt: skip


def key(**more):
    return {**jwk(ec.generate_private_key(ec.SECP256R1()), "k1"), **more}


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" * 4000])
def test_numbers_that_no_database_keeps_are_left_out_with_all_that_is_not_gone_by(
    stranger, goods, servers, number
):
    whole = key(alg="ES256", use="sig", extra="number", note="x" * 5000)
    told = json.dumps(document(signing_keys=[whole])).replace('"number"', number)
    servers[0].answers[PATH] = body(told.encode())
    stranger.rest("POST", "carts", lines(goods), status=201)
    kept = {name: whole[name] for name in ("kid", "kty", "crv", "x", "y", "alg", "use")}
    assert UcpProfile.objects.get(profile=stranger.profile).keys == [kept]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_is_not_read_and_not_asked_for_again(stranger, goods, servers, number):
    told = json.dumps(document(signing_keys=[key(extra="number")])).replace('"number"', number)
    servers[0].answers[PATH] = body(told.encode())
    for _ in range(2):
        answer = stranger.rest("POST", "carts", lines(goods), status=422)
        assert answer["code"] == "profile_malformed"
    assert len(servers[0].asked) == 1


@pytest.mark.parametrize(
    "odd", [{"x": 1e300}, {"x": "A" * 201}, {"kid": ["k1"]}, {"d": "secret"}, {"alg": None}]
)
def test_what_is_not_like_a_public_key_is_no_key(stranger, goods, servers, odd):
    servers[0].answers[PATH] = telling(document(signing_keys=[key(**odd), "key", None]))
    stranger.rest("POST", "carts", lines(goods), status=201)
    assert UcpProfile.objects.get(profile=stranger.profile).keys == []


def test_a_row_holds_little_whatever_a_profile_holds(stranger, goods, servers):
    told = document([*CAPABILITIES, *(f"com.example.c{number}" for number in range(300))])
    entry = told["ucp"]["capabilities"][ORDER][0]
    told["ucp"]["capabilities"][ORDER] = [entry] * 200
    servers[0].answers[PATH] = telling(told)
    stranger.rest("POST", "carts", lines(goods), status=201)
    kept = UcpProfile.objects.get(profile=stranger.profile).capabilities
    assert set(kept) == set(CAPABILITIES)
    assert len(kept[ORDER]) == 20


@pytest.mark.parametrize("etag", ['"é"', '"' + "x" * 300 + '"'])
def test_an_etag_that_cannot_be_sent_back_is_not_kept(stranger, goods, servers, etag):
    servers[0].answers[PATH] = telling(document(), ETag=etag)
    stranger.rest("POST", "carts", lines(goods), status=201)
    assert discovery.refresh_profile(stranger.profile).etag == ""
    assert "If-None-Match" not in servers[0].asked[1][1]


def test_whatever_breaks_a_fetch_is_a_failure_with_its_pause(goods, servers, monkeypatch):
    cache.clear()
    tried, real = [], socket.getaddrinfo

    def resolve(host, *given, **more):
        if host != "broken.example":
            return real(host, *given, **more)
        tried.append(host)
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    broken = Platform("https://broken.example/ucp")

    def ask():
        answer = broken.rest("POST", "carts", lines(goods), status=424)
        assert (answer["code"], "nobody" in str(answer)) == ("profile_unreachable", False)

    def refresh():
        with pytest.raises(discovery.ProfileUnreachable):
            discovery.refresh_profile(broken.profile)

    for several in ((ask, ask, refresh), (refresh, refresh, ask)):
        cache.clear()
        tried.clear()
        for one in several:
            one()
        assert len(tried) == 1


def test_a_fetch_that_does_not_begin_gives_its_place_back(stranger, goods, monkeypatch):
    ended = ThreadPoolExecutor(1)
    ended.shutdown()
    with monkeypatch.context() as patch:
        patch.setattr(discovery, "_slots", BoundedSemaphore(1))
        patch.setattr(discovery, "_fetchers", ended)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="shutdown"):
                stranger.rest("POST", "carts", lines(goods))
        assert discovery._slots.acquire(blocking=False)


def test_one_address_cannot_use_up_everybodys_fetches(stranger, goods, servers, whole_minute):
    def profile(number):
        servers[0].answers[f"/p{number}"] = telling(document())
        return servers[0].url(f"/p{number}")

    answers = [come(profile(number), goods) for number in range(12)]
    assert [answer.status_code for answer in answers] == [201] * 10 + [429] * 2
    assert answers[-1].json()["code"] == "too_many_calls"
    assert come(profile(0), goods).status_code == 201, "what is known is not fetched"
    assert come(profile(20), goods, "10.9.0.2").status_code == 201
    # Of IPv6 a network is one asker.
    several = [come(profile(30 + host), goods, f"2001:db8::{host:x}").status_code for host in range(11)]
    assert several == [201] * 10 + [429]
    assert come(profile(50), goods, "2001:db8:0:1::1").status_code == 201


def test_looking_for_a_new_key_counts_as_well(stranger, goods, servers, whole_minute):
    signer = Signer(profile=stranger.profile)
    servers[0].answers[PATH] = telling(document(signing_keys=[jwk(signer.key, "k1")]))
    assert signer.send("POST", "carts", order(goods)).status_code == 201
    unknown = Signer("k2", profile=stranger.profile)
    codes = []
    for _ in range(10):
        UcpProfile.objects.filter(profile=stranger.profile).update(fetched_at=now() - timedelta(minutes=2))
        codes.append(unknown.send("GET", "carts/x").json()["code"])
    assert codes == ["key_not_found"] * 9 + ["too_many_calls"]
    assert len(servers[0].asked) == 10


def test_in_live_mode_strangers_reach_no_network_of_the_operators(goods, settings):
    cache.clear()
    settings.LIVE = True
    settings.FETCH_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.setblocking(False)
        answer = come(f"https://127.0.0.1:{inside.getsockname()[1]}/ucp", goods)
        assert answer.status_code == 424
        with pytest.raises(BlockingIOError):
            inside.accept()


def test_a_refusal_says_nothing_of_what_the_store_met(goods, servers):
    cache.clear()
    outside, within = servers
    outside.answers["/away"] = body(b"gone", 500)
    outside.answers["/large"] = body(b"x" * 200_000)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    profiles = [
        outside.url("/away"), outside.url("/large"), f"http://127.0.0.1:{port}/", "https://no-such.invalid/",
        f"https://127.0.0.2:{within.server_address[1]}/secret", "https://169.254.169.254/", "https://8.8.8.8:22/",
    ]  # fmt: skip
    told = {come(profile, goods).content for profile in profiles}
    assert len(told) == 1
    assert json.loads(told.pop())["code"] == "profile_unreachable"


def test_profiles_that_made_nothing_are_forgotten_after_a_day(stranger, goods, servers):
    servers[0].answers["/idle"] = telling(document())
    idle = Platform(servers[0].url("/idle"))
    assert idle.rest("GET", "carts/x")["messages"][0]["code"] == "not_found"
    stranger.rest("POST", "carts", lines(goods), status=201)
    assert discovery.forget_profiles() == 0
    # However often it was fetched since.
    UcpProfile.objects.filter(profile__startswith=servers[0].url("")).update(
        added_at=now() - timedelta(hours=25), fetched_at=now()
    )
    assert discovery.forget_profiles() == 1
    assert not UcpProfile.objects.filter(profile=idle.profile).exists()
