"""A proxy's word about a caller's address is believed where the operator says so, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import time_machine
from django.core.cache import cache
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from structlog.testing import capture_logs
from uvicorn import Config

from agentstore.asgi import application
from agentstore.kit.clock import now
from agentstore.kit.forwarded import tell_of_untrusted_proxies
from marketplace.shopping.ucp.rest import CALLS_PER_MINUTE

PROXY, CALLER = "10.20.0.2", "203.0.113.7"


async def call(*, peer: str, forwarded: str) -> httpx.Response:
    """A call as uvicorn hands it to the application, with what it was told in its environment."""
    config = Config(application, lifespan="off", log_config=None)
    config.load()
    transport = httpx.ASGITransport(app=config.loaded_app, client=(peer, 4_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.post("/ucp/catalog/lookup", json={}, headers={"X-Forwarded-For": forwarded})


def limited(*, peer: str, forwarded: str) -> bool:
    return asyncio.run(call(peer=peer, forwarded=forwarded)).status_code == 429


@pytest.fixture
def spent(monkeypatch, db):
    """One caller has made all the calls that it has, and the proxy's network is trusted."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.20.0.0/24")
    with time_machine.travel(now(), tick=False):
        key = f"calls:ucp:{CALLER}:{now():%H%M}"
        cache.set(key, CALLS_PER_MINUTE, timeout=90)
        yield
    cache.delete(key)


def test_callers_behind_a_trusted_proxy_are_counted_apart(spent):
    assert limited(peer=PROXY, forwarded=CALLER)
    assert not limited(peer=PROXY, forwarded="198.51.100.9")


def test_what_a_caller_writes_itself_is_not_believed(spent):
    assert limited(peer=PROXY, forwarded=f"198.51.100.10, {CALLER}"), "the proxy added whom it saw"
    assert limited(peer=CALLER, forwarded="198.51.100.11"), "nobody trusts this peer"
    assert not limited(peer="198.51.100.12", forwarded=CALLER), "nor can it use up another's calls"


async def test_a_proxy_that_is_not_trusted_is_told_of_once():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    watched = tell_of_untrusted_proxies(app)

    async def receive() -> dict[str, Any]:
        return {}

    async def send(message: Mapping[str, Any]) -> None:
        return None

    def scope(peer: str, said: bytes) -> dict[str, Any]:
        return {"type": "http", "client": (peer, 1), "headers": [(b"x-forwarded-for", said)]}

    with capture_logs() as logs:
        for asked in (
            {"type": "http", "client": (PROXY, 1), "headers": []},
            scope(CALLER, CALLER.encode()),
            *[scope(PROXY, CALLER.encode())] * 3,
        ):
            await watched(asked, receive, send)
    assert len(seen) == 5
    assert [(line["event"], line["peer"], line["check"]) for line in logs] == [
        ("proxy_not_trusted", PROXY, "agentstore.W002")
    ]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (None, "agentstore.W002"),
        (["*"], "agentstore.W003"),
        (["10.0.0.1", "proxy"], "agentstore.E007"),
        (["10.0.0.1", "10.1.0.0/16", "::1"], ""),
    ],
)
def test_the_check_names_what_is_missing(settings, capsys, named, said):
    settings.BEHIND_PROXY, settings.LIVE, settings.FORWARDED_ALLOW_IPS = True, True, named
    try:
        call_command("check")
    except SystemCheckError as refused:
        told = str(refused)
    else:
        told = capsys.readouterr().err
    mine = [id_ for id_ in ("agentstore.W002", "agentstore.W003", "agentstore.E007") if id_ in told]
    assert mine == ([said] if said else [])
