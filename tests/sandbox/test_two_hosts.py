"""Two sandbox hosts, a third machine that holds the conversations, and the day on which one host goes away."""

from __future__ import annotations

import asyncio
import threading
import time

import psutil
import pytest

from agentstore.kit.ids import new_id
from sandbox import pool, protocols
from sandbox.driver import Driver
from sandbox.engine.relay import relay_kit
from sandbox.failures import AgentFailure, Fault
from sandbox.models import Host, Sandbox
from sandbox.protocols import Done, InvokeRequest
from tests.database import database_url
from tests.sandbox.namespaces import DOOR_PORT, need_namespaces, two_hosts

pytestmark = [pytest.mark.containers, pytest.mark.django_db(transaction=True), pytest.mark.timeout(420)]
LOST_SECONDS = 8


def until(true, *, seconds, why):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, why()
        time.sleep(0.1)


def use_broker(app, options):
    """From the next message on: what was connected before keeps the options that it was made with."""
    app.conf.broker_transport_options = options
    app._pool = app.amqp._producer_pool = None


@pytest.fixture
def hosts(driver: Driver, settings, run_dir, tmp_path, echo_image):
    """Both are proven; this process is a machine of its own that runs no sandboxes."""
    need_namespaces()
    # From in there nothing can be fetched: what a host is set up with has to be there before.
    relay_kit()
    settings.SANDBOX_HOST, settings.SANDBOX_STACK = "web", f"test-{new_id().hex[-8:]}"
    settings.SANDBOX_HOST_LOST_SECONDS, settings.SANDBOX_WAIT_SECONDS = LOST_SECONDS, 60
    prefix = f"{settings.SANDBOX_STACK}:"
    from agentstore.celery import app

    options = app.conf.broker_transport_options
    use_broker(app, {**options, "global_keyprefix": prefix})
    environment = {
        "DATABASE_URL": database_url(), "VALKEY_URL": settings.VALKEY_URL, "SANDBOX_DRIVER": "docker",
        "SANDBOX_STACK": settings.SANDBOX_STACK, "SECRET_KEY": settings.SECRET_KEY,
        "AGENTSTORE_DATA_DIR": str(settings.DATA_DIR), "CELERY_KEY_PREFIX": prefix, "SANDBOX_MAX": "3",
        # One runtime is one probe: what is proven here is not isolation.
        "SANDBOX_UNTRUSTED_RUNTIME": "runc", "SANDBOX_HOST_LOST_SECONDS": str(LOST_SECONDS),
        "AGENTSTORE_SERVICES_ENV": "/nonexistent", "DATABASE_POOL_SIZE": "8",
    }  # fmt: skip
    with two_hosts(environment) as pair:
        proven = Host.objects.filter(status="up", refusal="").exclude(proven_at=None)
        until(
            lambda: proven.count() == 2, seconds=180,
            why=lambda: f"{list(Host.objects.values())} {[host.log.read_text()[-3000:] for host in pair]}",
        )  # fmt: skip
        yield pair
    for stack in (settings.SANDBOX_STACK, f"{settings.SANDBOX_STACK}-proof"):
        for found in driver.list_sandboxes(stack):
            driver.stop(found.handle)
    use_broker(app, options)


def claim(spec, key):
    return pool.claim(spec=spec, tenant="version-1", claim_key=key, wait_seconds=60, place_seconds=60)


def ask(claimed, prompt, deadline=40.0):
    request = InvokeRequest(prompt=prompt, messages=(), conversation="c", turn="t")

    async def run():
        events = protocols.for_name(claimed.protocol).invoke(claimed.door, request, deadline)
        return [event async for event in events][-1]

    return asyncio.run(run())


def is_connected():
    """Whether this process, where the turn runs, is joined to a door server."""
    return any(
        c.status == psutil.CONN_ESTABLISHED and c.raddr.port == DOOR_PORT
        for c in psutil.Process().net_connections("tcp")
    )


def host_of(claimed):
    return Sandbox.objects.get(pk=claimed.id).host


# What is shown is the same for each driver; by one engine this process sees both hosts' containers.
@pytest.mark.parametrize("driver", ["docker"], indirect=True)
def test_a_host_that_goes_away_takes_only_its_running_turns_along(hosts, driver, spec):
    by_name = {host.name: host for host in hosts}
    first, second = claim(spec, "one"), claim(spec, "two")
    assert {host_of(first), host_of(second)} == set(by_name), "each goes to the host with more room"
    for claimed in (first, second):
        assert ask(claimed, "hello") == Done("You said: hello")
        assert "echo agent is listening" in claimed.door.read_log()
    doomed, left = by_name[host_of(first)], by_name[host_of(second)]

    failures: list[BaseException] = []

    def long_turn():
        try:
            ask(first, "think 120", deadline=120)
        except AgentFailure as failed:
            failures.append(failed)

    turn = threading.Thread(target=long_turn)
    turn.start()
    until(is_connected, seconds=20, why=lambda: "the turn has no connection to the host")
    time_of_death = time.monotonic()
    doomed.die()
    turn.join(60)
    assert not turn.is_alive()
    assert time.monotonic() - time_of_death < 30
    [failure] = failures
    assert isinstance(failure, AgentFailure)
    assert (failure.code, failure.fault) == ("host_lost", Fault.PLATFORM)

    assert ask(second, "still here?") == Done("You said: still here?")
    until(
        lambda: Host.objects.get(name=doomed.name).status == "lost", seconds=60,
        why=lambda: str(list(Host.objects.values("name", "status", "heartbeat_at"))),
    )  # fmt: skip
    row = Sandbox.objects.get(pk=first.id)
    assert (row.status, row.fault, row.failure_code) == ("failed", Fault.PLATFORM, "host_lost")
    again = claim(spec, "one")
    assert host_of(again) == left.name
    assert ask(again, "hello again") == Done("You said: hello again")
    assert driver.state(driver.handle_of(first.id)).exists, "nobody but its host removes what it left"

    doomed.plug_in()
    doomed.start()
    until(
        lambda: Host.objects.get(name=doomed.name).status == "up", seconds=90,
        why=lambda: doomed.log.read_text()[-3000:],
    )  # fmt: skip
    until(
        lambda: not driver.state(driver.handle_of(first.id)).exists, seconds=60,
        why=lambda: doomed.log.read_text()[-3000:],
    )  # fmt: skip
    until(
        lambda: Sandbox.objects.get(pk=first.id).removed_at is not None, seconds=20,
        why=lambda: "what its host left is gone, and its row does not say so",
    )  # fmt: skip
    assert ask(second, "after all that") == Done("You said: after all that")
    third = claim(spec, "three")
    assert host_of(third) == doomed.name, "it takes sandboxes again, and has the most room"
