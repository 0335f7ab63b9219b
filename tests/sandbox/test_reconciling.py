"""A sandbox worker that is killed (SIGKILL) at any step: what runs and what the rows say come together again."""

from __future__ import annotations

import asyncio
import signal

import pytest
from django.conf import settings as django_settings

from sandbox import pool, protocols, reaper
from sandbox.hosts import this_host
from sandbox.models import Sandbox
from sandbox.places import door_dir
from sandbox.protocols import Done, InvokeRequest
from tests.database import database_url
from tests.sandbox.killed import workers
from tests.sandbox.servers import warm_row

pytestmark = pytest.mark.containers
Status = Sandbox.Status


@pytest.fixture(scope="module")
def nursery(django_db_setup):
    with workers({
        "DJANGO_SETTINGS_MODULE": "agentstore.settings", "DATABASE_URL": database_url(),
        "AGENTSTORE_DATA_DIR": str(django_settings.DATA_DIR),
    }) as found:  # fmt: skip
        yield found


@pytest.fixture
def do_and_die(nursery, driver, settings):
    """`do_and_die(task, when, what, sandbox_id)`: the task in a worker of its own, which does not survive it."""

    def do(task, when, what, sandbox_id):
        code, errors = nursery.die(
            driver=driver.name, task=task, when=when, what=what, sandbox_id=sandbox_id,
            settings={
                "SANDBOX_STACK": settings.SANDBOX_STACK, "SANDBOX_HOST": this_host(),
                "RUN_DIR": settings.RUN_DIR, "GATEWAY_SOCKET_DIR": settings.GATEWAY_SOCKET_DIR,
            },
        )  # fmt: skip
        assert code == -signal.SIGKILL, errors

    return do


def containers(driver, settings):
    return [found.sandbox_id for found in driver.list_sandboxes(settings.SANDBOX_STACK)]


def ask(claimed, prompt):
    request = InvokeRequest(prompt=prompt, messages=(), conversation="c", turn="t")

    async def run():
        events = protocols.for_name(claimed.protocol).invoke(claimed.door, request, 20)
        return [event async for event in events][-1]

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("when", "what"),
    [("before", "prepare"), ("after", "prepare"), ("before", "start"), ("after", "start"), ("before", "ready"),
     ("after", "ready")],
)  # fmt: skip
def test_a_start_is_taken_up_again_wherever_it_was_killed(
    own_stack, driver, spec, settings, do_and_die, when, what
):
    row, _ = warm_row(
        spec, status=Status.STARTING, claim_key="c", ready_at=None, token_hash="", host=this_host()
    )
    do_and_die("start", when, what, row.pk)
    # As the worker does when it comes back; the task runs here, since nobody else would.
    reaper.resume_starts(at_once=True)
    reaper.reap_sandboxes(driver=driver)
    row.refresh_from_db()
    assert (row.status, row.claim_key) == (Status.CLAIMED, "c")
    assert containers(driver, settings) == [row.pk]
    claimed = pool.claim(spec=spec, tenant="version-1", claim_key="c", wait_seconds=0)
    assert claimed.id == row.pk
    assert ask(claimed, "hello") == Done("You said: hello")


@pytest.mark.parametrize(
    ("when", "what"), [("before", "stop"), ("after", "stop"), ("before", "remove"), ("after", "remove")]
)
def test_an_end_is_finished_wherever_it_was_killed(own_stack, driver, spec, settings, do_and_die, when, what):
    claimed = pool.claim(spec=spec, tenant="version-1", claim_key="c", wait_seconds=120)
    Sandbox.objects.filter(pk=claimed.id).update(status=Status.STOPPED)
    do_and_die("stop", when, what, claimed.id)
    reaper.reap_sandboxes(driver=driver)
    assert containers(driver, settings) == []
    assert not door_dir(claimed.id).exists()
    assert Sandbox.objects.get(pk=claimed.id).removed_at is not None


def test_both_ways_and_only_on_its_own_host(own_stack, driver, spec, settings):
    """A row without its container, a container without its row, and another host's of each."""
    mine, stray, theirs = (
        pool.claim(spec=spec, tenant="version-1", claim_key=key, wait_seconds=120) for key in ("a", "b", "c")
    )
    driver.stop(driver.handle_of(mine.id))
    Sandbox.objects.filter(pk=stray.id).delete()
    Sandbox.objects.filter(pk=theirs.id).update(host="another", status=Status.STOPPED)
    gone_there, _ = warm_row(spec, status=Status.CLAIMED, claim_key="d", host="another")
    done = reaper.reap_sandboxes(driver=driver)
    assert (done["died"], done["strays"]) == (1, 1)
    assert containers(driver, settings) == [theirs.id], "another host's is not ours to remove"
    gone_there.refresh_from_db()
    assert gone_there.status == Status.CLAIMED, "nor ours to judge"
    settings.SANDBOX_HOST = "another"
    reaper.reap_sandboxes(driver=driver)
    assert containers(driver, settings) == []
    gone_there.refresh_from_db()
    assert gone_there.status == Status.FAILED
