"""A conversation's speed: the platform's own time in a turn, a recommendation, and idle streams.

    python -m benchmarks.turn [--quick] [--json]

Needs DATABASE_URL and VALKEY_URL; makes a database of its own and drops it. The web process is a real one
(uvicorn); the agent is a program on the socket of a warm sandbox that answers at once, so that what is measured
is the platform. Alternatives measured in the same run: asking the agent's socket directly, and one thread with
one blocking connection per stream.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).resolve().parent.parent
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")
RUN_DIR = tempfile.TemporaryDirectory(prefix="as-")
os.environ["AGENTSTORE_RUN_DIR"] = RUN_DIR.name

import django  # noqa: E402  (after the environment that its settings read)

django.setup()

import httpx  # noqa: E402
import psutil  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from agentstore.embedded.processes import free_port  # noqa: E402
from agentstore.identity.services import create_organization  # noqa: E402
from benchmarks.report import Report, parser, percentile  # noqa: E402
from billing import budgets  # noqa: E402
from marketplace.shopping.conversations import open_conversation  # noqa: E402
from marketplace.shopping.events import last_event_id  # noqa: E402
from marketplace.shopping.models import Shopper  # noqa: E402
from marketplace.shopping.recommendations import recommend  # noqa: E402
from marketplace.shopping.turns import end_turn, start_turn  # noqa: E402
from sandbox import protocols  # noqa: E402
from sandbox.doors import LocalDoor, local_door  # noqa: E402
from sandbox.places import socket_path  # noqa: E402
from tests.cast import person  # noqa: E402
from tests.conversations import world  # noqa: E402
from tests.database import database_url  # noqa: E402

THREADS_ALTERNATIVE = """
import sys, threading, redis, psutil, time
url, count = sys.argv[1], int(sys.argv[2])
before = psutil.Process().memory_info().rss
def wait(): redis.Redis.from_url(url).xread({"bench:nothing": "$"}, block=60_000)
for _ in range(count): threading.Thread(target=wait, daemon=True).start()
time.sleep(max(2, count / 300))
print(psutil.Process().memory_info().rss - before)
"""


@contextmanager
def own_database() -> Iterator[str]:
    """A migrated database of this run alone; its URL."""
    connection.settings_dict["TEST"]["NAME"] = f"bench_turn_{os.getpid()}"
    old = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        yield database_url()
    finally:
        connection.creation.destroy_test_db(old, verbosity=0)


@contextmanager
def web_process(database_url: str) -> Iterator[tuple[str, psutil.Process]]:
    """The web process on a port; its address and itself."""
    port = free_port()
    environment = {**os.environ, "DATABASE_URL": database_url, "LOG_LEVEL": "WARNING"}
    command = [sys.executable, "-m", "uvicorn", "agentstore.asgi:application", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--log-level", "warning", "--backlog", "4096"], env=environment, cwd=REPOSITORY
    )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/healthz").is_success
        except httpx.TransportError:
            return False

    world.until(answers, seconds=60)
    try:
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(15)


def measure_turns(address: str, cookies: dict[str, str], conversation: Any, count: int) -> list[float]:
    """Milliseconds from sending a message to the agent's first words in the browser's stream."""
    token = cookies[settings.CSRF_COOKIE_NAME]
    headers = {"X-CSRFToken": token, "Accept": "application/json"}
    browser = httpx.Client(base_url=address, cookies=cookies, headers=headers, timeout=30)
    base, taken = f"/chat/{conversation.pk}", []
    after = last_event_id(conversation.pk)
    with browser.stream("GET", f"{base}/events", params={"after": after}) as stream:
        lines = stream.iter_lines()
        for _ in range(count):
            started = time.perf_counter()
            browser.post(f"{base}/messages", data={"text": "A gift"}).raise_for_status()
            wait_for(lines, "event: message.delta")
            taken.append((time.perf_counter() - started) * 1000)
            wait_for(lines, "event: turn.done")
    return taken


def wait_for(lines: Iterator[str], wanted: str) -> None:
    """Read on until a line of the stream is this one."""
    for line in lines:
        if line == wanted:
            return


def measure_direct(door: LocalDoor, conversation: Any, count: int) -> list[float]:
    """Milliseconds to the first words when the agent's socket is asked with no platform between."""
    request = protocols.InvokeRequest(
        prompt="A gift", messages=(), conversation=str(conversation.pk), turn="1"
    )

    async def once() -> float:
        started = time.perf_counter()
        async for _ in protocols.for_name("http").invoke(door, request, 10):
            break
        return (time.perf_counter() - started) * 1000

    return [asyncio.run(once()) for _ in range(count)]


def measure_recommend(conversation: Any, offers: list[Any]) -> list[float]:
    """Milliseconds of `recommend`: grounding, hold, card and event."""
    taken = []
    for start in range(0, len(offers), 6):
        turn = start_turn(conversation=conversation, text="A gift")
        for offer in offers[start : start + 6]:
            started = time.perf_counter()
            outcome = recommend(
                conversation_id=conversation.pk, turn_id=turn.pk, variant_id=f"var_{offer.variant_id}",
                reason="It suits.",
            )  # fmt: skip
            taken.append((time.perf_counter() - started) * 1000)
            assert outcome.refusal is None
        end_turn(turn_id=turn.pk, status="done", by="runner", text="Here.")
    return taken


async def measure_idle(
    address: str, cookies: dict[str, str], conversation: Any, count: int, web: psutil.Process
) -> tuple[float, int, int]:
    """MiB and threads that `count` open streams add to the web process, and how many were open."""
    parts = urlsplit(address)
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    request = (
        f"GET /chat/{conversation.pk}/events HTTP/1.1\r\nHost: {parts.netloc}\r\nCookie: {cookie}\r\n\r\n"
    ).encode()
    memory, threads = web.memory_info().rss, web.num_threads()
    held: list[asyncio.StreamWriter] = []

    async def hold() -> bool:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        held.append(writer)
        writer.write(request)
        return b"200 OK" in await asyncio.wait_for(reader.readline(), 60)

    opened = 0
    for _ in range(0, count, 25):
        opened += sum(await asyncio.gather(*(hold() for _ in range(25))))
    await asyncio.sleep(2)
    grown = (web.memory_info().rss - memory) / 2**20, web.num_threads() - threads, opened
    for writer in held:
        writer.close()
    return grown


def signed_in(user: Any) -> dict[str, str]:
    """The cookies of a person who signed in."""
    client = Client()
    client.force_login(user)
    client.get("/privacy/")
    return {name: morsel.value for name, morsel in client.cookies.items()}


def run(quick: bool) -> Report:
    """All measurements."""
    turns, cards, streams = (60, 60, 200) if quick else (300, 300, 1000)
    report = Report({"turns": turns, "claims": cards, "streams": streams})
    add = partial(_add, report)

    with ExitStack() as stack:
        url = stack.enter_context(own_database())
        conversation, other, offers = furnish(cards)
        row, token = world.bind_sandbox(conversation)
        agent = world.ScriptedAgent(
            socket_path(row.pk),
            world.Tools(Path("/nowhere"), token),
            lambda body, tools: ["How about a mug?"],
        )
        stack.callback(agent.stop)
        address, web = stack.enter_context(web_process(url))
        cookies = signed_in(conversation.shopper.user)
        measure_turns(address, cookies, conversation, 5)
        taken = measure_turns(address, cookies, conversation, turns)
        direct = measure_direct(local_door(row.pk), conversation, turns)
        own = percentile(taken, 0.95) - percentile(direct, 0.5)
        add("turn: message to first words, p50", statistics.median(taken), "ms")
        add("turn: message to first words, p95", percentile(taken, 0.95), "ms")
        add("turn: the platform's own part, p95", own, "ms", 50)
        add("turn: the agent's socket asked directly, p50", statistics.median(direct), "ms")
        add(
            "turn: through the platform / directly, medians",
            statistics.median(taken) / statistics.median(direct),
            "x",
        )
        claims = measure_recommend(other, offers)
        add("recommend, p50", statistics.median(claims), "ms")
        add("recommend, p95", percentile(claims, 0.95), "ms", 15)
        grown, threads, opened = asyncio.run(measure_idle(address, cookies, conversation, streams, web))
        assert opened == streams, f"only {opened} of {streams} streams opened"
        add(f"{streams} idle streams: memory of the web process", grown, "MiB", 150 * streams / 1000)
        add(f"{streams} idle streams: threads of the web process", threads, "threads", 8)
        script = [sys.executable, "-c", THREADS_ALTERNATIVE, settings.VALKEY_URL, str(streams)]
        alternative = int(subprocess.run(script, capture_output=True, check=True, text=True).stdout) / 2**20
        add(f"{streams} blocked threads with a connection each: memory", alternative, "MiB")
        connection.close()
    return report


def furnish(cards: int) -> tuple[Any, Any, list[Any]]:
    """Two conversations with an agent of a studio, prices, a budget, and goods to recommend."""
    merchant = create_organization(kind="merchant", name="Audio Haus", owner=person("Mia"))
    studio = create_organization(kind="developer", name="Northwind Labs", owner=person("Alice"))
    prices: Any = unwrapped(world.prices)(None)
    budgets.set_budget(merchant_ref=merchant.ref, cap=prices.ppcv("") * 1000, at_cap="organic", by="bench")
    agent = unwrapped(world.agent)(studio)
    shopper = Shopper.objects.create(user=person("Sam"))
    offers = [world.sell(merchant, f"Mug {number}", "12.50") for number in range(cards)]
    return (
        open_conversation(shopper=shopper, agent=agent),
        open_conversation(shopper=shopper, agent=agent),
        offers,
    )


def unwrapped(fixture: Any) -> Callable[..., Any]:
    """The function behind a pytest fixture."""
    found: Callable[..., Any] = fixture._get_wrapped_function()
    return found


def _add(report: Report, name: str, value: float, unit: str, goal: float | None = None) -> None:
    report.add(name, value, unit, "lower", goal)


def main() -> None:
    """The command."""
    arguments = parser("The platform's own time in a turn, a recommendation, and idle streams.").parse_args()
    run(arguments.quick).show(as_json=arguments.json)


if __name__ == "__main__":
    main()
