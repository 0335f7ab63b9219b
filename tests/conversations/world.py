"""A small store to converse in: prices, a few goods, a live agent, and its program on a real socket.

The agent here is a program of the test that listens where a sandbox's relay would; what it says and which
tools it calls is up to each test. A container has a test of its own (test_container.py).
"""

from __future__ import annotations

import json
import os
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentstore.identity.models import Organization
from agentstore.kit.clock import now
from billing import budgets
from billing.pricing import Terms, announce_prices, draft_prices
from marketplace.catalog.models import Category, Offer, Product, Variant
from marketplace.publishing.models import Agent, Version
from marketplace.publishing.specs import run_spec_for
from marketplace.shopping import inquiries
from marketplace.shopping.conversations import claim_key, open_conversation
from marketplace.shopping.models import Conversation, Shopper
from marketplace.shopping.turns import start_turn
from sandbox.doors import prepare_gateway
from sandbox.models import Sandbox
from sandbox.places import socket_path
from sandbox.tokens import digest_of, mint_token
from tests.database import database_url

MANIFEST: dict[str, Any] = {
    "name": "Gift Finder",
    "slug": "gift-finder",
    "version": "1.0.0",
    "tagline": "Tell me who it is for and your budget.",
    "categories": ["gifts"],
    "protocol": "http",
    "skills": ["chat"],
    "permissions": ["catalog", "profile", "model"],
    "resources": {"memory_mb": 128, "cpu": 0.5, "start_seconds": 2, "turn_seconds": 5},
}


def until(true: Callable[[], Any], *, seconds: float = 10) -> Any:
    """What the function gives as soon as it gives something; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = true()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come about in time")


@pytest.fixture
def run_dir(settings):
    directory = Path(tempfile.mkdtemp(prefix="as-"))
    settings.RUN_DIR = directory
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def prices(db):
    version = draft_prices(
        name=f"prices {uuid.uuid4().hex[:8]}",
        terms=[Terms("ppcv", 150_000), Terms("agent_tax", 150_000), Terms("developer_share", 700_000)],
        by="test",
    )
    return announce_prices(version_id=version.pk, effective_at=now() - timedelta(days=1), by="test")


@pytest.fixture
def budget(prices, merchant):
    return budgets.set_budget(
        merchant_ref=merchant.ref, cap=prices.ppcv("") * 10, at_cap="organic", by="test", at=now()
    )


def sell(merchant: Organization, title: str, price: str, *, stock: int = 5, **more: Any) -> Offer:
    """An offer of a new product at a price in dollars."""
    category, _ = Category.objects.get_or_create(slug="gifts", defaults={"name": "Gifts", "path": "Gifts"})
    product_fields = {key: more.pop(key) for key in ("min_age", "status") if key in more}
    product = Product.objects.create(
        owner=merchant, group_id=title, title=title, brand="Acme", category=category, **product_fields
    )
    variant = Variant.objects.create(product=product, owner=merchant, item_id=title, options={})
    return Offer.objects.create(
        variant=variant,
        merchant=merchant,
        price_micros=int(float(price) * 100) * 10_000,
        currency="USD",
        on_hand=stock,
        **more,
    )


@pytest.fixture
def mug(merchant) -> Offer:
    return sell(merchant, "Blue mug", "12.50")


@pytest.fixture
def lamp(merchant) -> Offer:
    return sell(merchant, "Desk lamp", "79.00")


@pytest.fixture
def agent(studio) -> Agent:
    """A live agent of the studio."""
    listing = Agent.objects.create(
        developer=studio, slug="gift-finder", name="Gift Finder", tagline=MANIFEST["tagline"]
    )
    version = Version.objects.create(
        agent=listing,
        semver="1.0.0",
        manifest=MANIFEST,
        image_id="sha256:" + "a" * 64,
        bundle_sha256="b" * 64,
        status=Version.Status.LIVE,
    )
    listing.live_version, listing.status = version, Agent.Status.LISTED
    listing.save()
    return listing


@pytest.fixture
def shopper(sam) -> Shopper:
    return Shopper.objects.create(user=sam)


@pytest.fixture
def conversation(prices, agent, shopper) -> Conversation:
    return open_conversation(shopper=shopper, agent=agent)


@pytest.fixture
def turn(conversation):
    """A turn that is being run."""
    return start_turn(conversation=conversation, text="A gift for my sister")


def bind_sandbox(conversation: Conversation, *, status: str = Sandbox.Status.CLAIMED) -> tuple[Sandbox, str]:
    """A sandbox of the conversation and its run token."""
    key = claim_key(conversation.pk) if status == Sandbox.Status.CLAIMED else ""
    return sandbox_of(conversation.version, status=status, key=key)


def sandbox_of(version: Version, *, status: str, key: str = "") -> tuple[Sandbox, str]:
    """A sandbox of the version and its run token."""
    token = mint_token()
    spec = run_spec_for(version)
    at = now()
    row = Sandbox.objects.create(
        image_id=spec.image_id,
        tenant=version.tenant,
        spec=spec.as_json(),
        spec_key=spec.fingerprint,
        claim_key=key,
        status=status,
        token_hash=token.digest,
        ready_at=at,
        claimed_at=at if key else None,
        last_used_at=at,
    )
    return row, token.text


@pytest.fixture
def token(turn) -> str:
    """The run token of the agent whose turn it is."""
    return bind_sandbox(turn.conversation)[1]


def own_socket(token: str) -> str:
    """The REMOTE_ADDR of a call that comes through the socket of the token's own sandbox."""
    owner = Sandbox.objects.filter(token_hash=digest_of(token)).first()
    return owner.pk.hex if owner else uuid.uuid4().hex


class Tools:
    """The gateway, as an agent reaches it: through its sandbox's own socket."""

    def __init__(self, path: Path, token: str) -> None:
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(path)), base_url="http://127.0.0.1:9000",
            headers={"Authorization": f"Bearer {token}"}, timeout=10,
        )  # fmt: skip

    def call(self, tool: str, **arguments: Any) -> httpx.Response:
        return self._client.post(f"/v1/tools/{tool}", json=arguments)


Answer = Callable[[dict[str, Any], Tools], Iterable[str]]


class ScriptedAgent:
    """An agent's program: answers /invocations with what the test's function yields."""

    def __init__(self, path: Path, tools: Tools, answer: Answer) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.asked: list[dict[str, Any]] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                script.asked.append(body)
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                try:
                    for piece in answer(body, tools):
                        self.wfile.write(f"data: {json.dumps({'text': piece})}\n\n".encode())
                except BrokenPipeError:
                    return

            def address_string(self) -> str:
                return "agent"

            def log_message(self, *_: Any) -> None:
                return

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self._server = Server(str(path), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="session")
def gateway(django_db_setup, tmp_path_factory):
    """The gateway as a process of its own; the directory in which every sandbox has one for its socket."""
    logged = tmp_path_factory.mktemp("gateway") / "log"
    directory = Path(tempfile.mkdtemp(prefix="as-"))
    environment = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "agentstore.settings",
        "DATABASE_POOL_SIZE": "4",
        "AGENT_MAX_CALLS_PER_TURN": "40",
        "AGENTSTORE_RUN_DIR": str(directory),
    }
    log = logged.open("wb")
    command = [sys.executable, "-m", "agentstore.gateway_server"]
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    root = directory / "gateway"

    def listens() -> bool:
        assert process.poll() is None, logged.read_text()
        return (root / "gateway.sock").exists()

    until(listens, seconds=60)
    yield root
    process.terminate()
    process.wait(10)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def no_worker(monkeypatch):
    """Nobody looks at sandboxes here: a turn that fails does not wait for somebody who does."""
    monkeypatch.setattr(inquiries, "_WAIT_SECONDS", 0.05)


@pytest.fixture
def play(transactional_db, run_dir, gateway, settings, no_worker):
    """`play(conversation, answer)`: an agent's program in the conversation's sandbox."""
    running: list[ScriptedAgent] = []
    settings.GATEWAY_SOCKET_DIR = gateway

    def start(conversation: Conversation, answer: Answer) -> ScriptedAgent:
        return _listen(running, bind_sandbox(conversation), answer)

    yield start
    for program in running:
        program.stop()


@pytest.fixture
def play_warm(transactional_db, run_dir, gateway, settings, no_worker):
    """`play_warm(version, answer)`: an agent's program in a sandbox that waits for a conversation."""
    running: list[ScriptedAgent] = []
    settings.GATEWAY_SOCKET_DIR = gateway

    def start(version: Version, answer: Answer) -> ScriptedAgent:
        return _listen(running, sandbox_of(version, status=Sandbox.Status.WARM), answer)

    yield start
    for program in running:
        program.stop()


def _listen(running: list[ScriptedAgent], bound: tuple[Sandbox, str], answer: Answer) -> ScriptedAgent:
    row, token = bound
    gateway_socket = prepare_gateway(row.pk) / "gateway.sock"
    until(gateway_socket.exists)
    program = ScriptedAgent(socket_path(row.pk), Tools(gateway_socket, token), answer)
    running.append(program)
    return program
