"""Hostile agents in real containers, seen by the shopper who asked and the developer who made them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from django.test import Client

from agentstore.celery import app
from marketplace.publishing.models import Version
from marketplace.shopping.models import Conversation, Turn
from sandbox.drivers import chosen_driver
from sandbox.images import build_source
from tests.conversations.live import Web
from tests.look.axe import keep_picture, session_cookies, walk, watch
from tests.sandbox.conftest import (  # noqa: F401  (fixtures are found by name)
    AGENTS,
    driver,
    engine_images,
    own_stack,
    run_dir,
)

pytestmark = [pytest.mark.e2e, pytest.mark.containers, pytest.mark.django_db(transaction=True)]

RESOURCES = {
    "memory_mb": 96, "cpu": 1.0, "processes": 16, "start_seconds": 20, "turn_seconds": 4, "answer_kb": 1024,
}  # fmt: skip
# What the shopper asks, what they read, the code, whether a limit is named, what the log says.
SEEN = [
    ("memory of my holidays, please", "took on more than it could carry", "out_of_memory", "", ""),
    ("large presents for a small person", "said more than fits here", "answer_too_large", "", ""),
    ("hang on a wall, what could", "took too long to answer", "turn_timeout", "", ""),
    (
        "forks and knives for twelve",
        "ran into a problem",
        "bad_status",
        "Processes:",
        "Resource temporarily unavailable",
    ),
]


@pytest.fixture
def web(own_stack):  # noqa: F811  (the fixture)
    app.loader.import_default_modules()
    server = Web()
    yield server
    server.stop()


@pytest.fixture
def hostile(web, conversation: Conversation) -> Conversation:
    """A conversation with an agent whose container does what it is asked to."""
    image = build_source(bundle_dir=AGENTS / "hostile", runtime="python", command="python3 main.py")
    version = conversation.version
    version.image_id, version.manifest = image.image_id, {**version.manifest, "resources": RESOURCES}
    version.save()
    # The proof of the driver's isolation takes a while: no message has to wait for it. The browser's loop runs here.
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(_prove).result()
    return conversation


def _prove() -> None:
    chosen_driver()
    connections.close_all()


@pytest.fixture
def chat(browser, web, hostile, client, sam):
    client.force_login(sam)
    context = browser.new_context(viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
    context.add_cookies(session_cookies(client, web.address))
    page = watch(context.new_page())
    page.set_default_timeout(60_000)
    page.goto(f"{web.address}/chat/{hostile.pk}/")
    yield page
    context.close()


# Pages are the same whatever ran the agent: one driver is enough.
@pytest.mark.parametrize("driver", ["docker"], indirect=True)
def test_what_shopper_and_developer_see_of_hostile_agents(browser, web, chat, hostile, alice, charlie, sam):
    for number, (asked, read, *_) in enumerate(SEEN):
        chat.get_by_label("Message Gift Finder").fill(asked)
        chat.keyboard.press("Enter")
        chat.get_by_text(read).nth(0).wait_for()
        assert chat.get_by_role("button", name="Try again").last.is_visible()
        keep_picture(chat, f"hostile-chat-{number}")
    chat.get_by_role("button", name="Try again").last.click()
    chat.get_by_text(f"You said: {SEEN[-1][0]}").wait_for()
    keep_picture(chat, "hostile-chat-again")

    turns = list(Turn.objects.filter(status="failed").order_by("index"))
    assert [(turn.fault, turn.failure) for turn in turns] == [("agent", code) for _, _, code, _, _ in SEEN]
    for turn, (asked, _, _, limit, logged) in zip(turns, SEEN, strict=True):
        assert turn.log_tail.startswith("asked: [the shopper's words]"), turn.failure
        assert asked not in turn.log_tail
        assert "\x1b" not in turn.log_tail
        assert logged in turn.log_tail
        assert not limit or turn.strain["refused_processes"]

    owner, stranger = Client(), Client()
    owner.force_login(alice)
    stranger.force_login(charlie)
    home = "/developer/northwind-labs"
    trace = f"{home}/conversations/{hostile.pk}/"
    failures = f"{home}/agents/gift-finder/failures/"
    told = owner.get(trace).content.decode()
    for asked, _, code, limit, logged in SEEN:
        assert code in told
        assert limit in told
        assert logged in told
        assert asked not in told
    assert [stranger.get(path).status_code for path in (trace, failures)] == [404, 404]
    walk(
        browser,
        web.address,
        [trace, failures, f"{home}/agents/gift-finder/"],
        cookies=session_cookies(owner, web.address),
        check=lambda page, _: page.get_by_text("out_of_memory").first.wait_for(),
    )
    shopper = Client()
    shopper.force_login(sam)
    walk(browser, web.address, [f"/chat/{hostile.pk}/"], cookies=session_cookies(shopper, web.address))
    assert Version.objects.get().manifest["resources"] == RESOURCES
