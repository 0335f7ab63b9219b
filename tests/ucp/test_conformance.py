"""The public conformance runner against the store, over REST and MCP, in both versions.

Every check passes, or stands in docs/guides/ucp-conformance.md with the reason why it does not apply.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import connection

from agentstore.kit.clock import now
from marketplace.catalog.search import search_catalog
from marketplace.catalog.ucp.versions import APRIL, AUGUST
from marketplace.shopping.models import Shopper, UcpOrderEvent, UcpPlatform
from marketplace.shopping.ucp import discovery, webhooks
from tests.orders.bargains import agree, allow
from tests.orders.world import list_agent, talk
from tests.ucp.profiles import document, telling
from tests.ucp.test_signatures import base64url, jwk
from tests.ucp.world import ADDRESS, card
from tests.web import body

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "ucp-conformance.md"
RUNNER = Path(sys.executable).with_name("spck-conformance")
# How the runner calls itself.
RUNNERS_PROFILE = "https://spck.dev/agent"
OTHER_VERSION = "not-applicable (spec"


def reasons() -> dict[str, str]:
    """The guide's table: a check, or several by `*`, and why it does not apply."""
    rows = re.findall(r"^\| `([\w.*]+)` \| (.+) \|$", GUIDE.read_text(), flags=re.MULTILINE)
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def paid_with(token: str) -> dict[str, Any]:
    """The runner sends no street: it comes with the card."""
    payment = card(token)
    payment["payment"]["instruments"][0]["billing_address"] = ADDRESS
    return payment


@pytest.fixture
def code(goods, studio, prices) -> str:
    """What a visitor got for the headphones."""
    allow(goods.headphones)
    quote = agree(talk(Shopper.objects.create(), list_agent(studio), prices), goods.headphones, 9000, 2)
    assert quote.code
    return quote.code


@pytest.fixture
def configuration(goods, more_goods, servers, code):
    """What the runner has to know of the store to try all that it can."""
    outside = servers[0]
    outside.answers["/newer"] = telling(document(version="2031-01-01"))
    outside.answers["/other"] = telling(document(["com.example.shopping.loyalty"]))
    outside.answers["/broken"] = body(b"<html>")
    outside.answers["/away"] = body(b"", 503)
    keys = {kid: ec.generate_private_key(ec.SECP256R1()) for kid in ("platform-1", "platform-0")}
    unsupported = {"kid": "ed", "kty": "OKP", "crv": "Ed25519", "x": "AA"}
    UcpPlatform.objects.create(
        profile=RUNNERS_PROFILE, keys=[*(jwk(key, kid) for kid, key in keys.items()), unsupported]
    )
    private = {
        kid: {**jwk(key, kid), "d": base64url(key.private_numbers().private_value)}
        for kid, key in keys.items()
    }
    headphones, kettle, sold_out = (
        offer.variant.public_id for offer in (goods.headphones, goods.kettle, goods.sold_out)
    )
    return {
        "product_id": headphones,
        "currency": "USD",
        "out_of_stock_id": sold_out,
        "unavailable": {"business_outcome": True},
        "complete_payment": paid_with("pm_card_visa"),
        "payment": {"escalation_payment": paid_with("pm_card_authenticationRequired")},
        "fulfillment_option_id": "standard",
        "cart": {"second_product_id": kettle},
        "catalog": {
            "variant_id": headphones,
            "max_batch": 50,
            "configurable_product_id": more_goods.product.public_id,
            "paginated_query": "mug",
        },
        "totals": {"sublines": True},
        "discount": {
            "valid_code": code,
            "invalid_code": "NEG-NOBODY",
            "case_insensitive": True,
            "rejected_messages": True,
        },
        "discovery": {"supported_versions": True},
        "negotiation": {
            "validates_profile_url": True,
            "harness": True,
            "unsupported_version_profile_url": outside.url("/newer"),
            "incompatible_caps_profile_url": outside.url("/other"),
            "malformed_profile_url": outside.url("/broken"),
            "unreachable_profile_url": outside.url("/away"),
        },
        # How long the runner waits at most; a loaded machine is no fault of the store.
        "webhooks": {"simulate": True, "signed": True, "retries": True, "wait_seconds": 60},
        "signature": {
            "responses": True,
            "request_private_jwk": private["platform-1"],
            "rotated_private_jwk": private["platform-0"],
            "unsupported_alg_kid": "ed",
        },
    }


@pytest.fixture
def sending(web, monkeypatch):
    """What the workers do meanwhile: events are sent as they come due, and soon again."""
    monkeypatch.setattr(webhooks, "_FIRST_RETRY", timedelta(seconds=0.2))
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            due = UcpOrderEvent.objects.filter(status="pending", due_at__lte=now()).order_by()
            for platform in due.values_list("platform", flat=True).distinct():
                webhooks.tell_platform(platform=platform)
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.parametrize("version", [APRIL, AUGUST])
def test_every_check_passes_or_has_a_reason(
    web, configuration, index, processor, sending, tmp_path, version, monkeypatch
):
    # The runner is many platforms at one address.
    monkeypatch.setattr(discovery, "FETCHES_PER_ADDRESS", 60)
    index()
    found = search_catalog(query=configuration["catalog"]["paginated_query"])
    assert 10 < found.total < 20
    configuration["catalog"]["paginated_total"] = found.total
    file = tmp_path / "configuration.json"
    file.write_text(json.dumps(configuration))
    address = web.address if version == APRIL else f"{web.address}/ucp/{version}"
    ran = subprocess.run(
        [str(RUNNER), "--server", address, "--config", str(file), "--insecure", "--json"],
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert ran.returncode in (0, 2), ran.stderr
    report = json.loads(ran.stdout)
    assert report["spec_version"] == version
    checks = [check for check in report["checks"] if not check["status"].startswith(OTHER_VERSION)]
    failed = [
        f"{check['id']}: {check['status']} {json.dumps(check['observed'])}"
        for check in checks
        if check["status"] == "deviation" or check["kill_safe"] is False
    ]
    assert not failed, "\n".join(failed)
    assert report["verdict"]["deviations"] == 0
    idle = {check["id"]: check["status"] for check in checks if check["status"] != "clean-pass"}
    told = reasons()
    unexplained = {name: why for name, why in idle.items() if not any(fnmatch(name, row) for row in told)}
    assert not unexplained
    if version == APRIL:
        stale = {row for row in told if not any(fnmatch(name, row) for name in idle)}
        assert not stale, "these run now, or are no checks of the runner: take them out of the guide"
        passed = {check["id"] for check in checks} - idle.keys()
        assert {name.split(".")[0] for name in passed} >= {
            "catalog", "cart", "checkout", "order", "mcp", "signature", "fulfillment", "payment", "idempotency",
        }  # fmt: skip
        counted = re.search(r"(\d+) checks pass and (\d+) do not apply", GUIDE.read_text())
        assert counted
        assert (int(counted[1]), int(counted[2])) == (len(passed), len(idle)), "the guide's count"
