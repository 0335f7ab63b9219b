"""The operator's pages on sandboxes in a real browser, in both themes, at phone and desk width."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agentstore.kit.clock import now
from sandbox import hosts
from sandbox.failures import Fault
from sandbox.models import Host, PoolTarget, Sandbox, WaitingClaim
from sandbox.spec import RunSpec
from tests.look.axe import looks, session_cookies, walk
from tests.sandbox.conftest import SOME_IMAGE, known_host
from tests.sandbox.servers import warm_row

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), pytest.mark.django_db(transaction=True)]
SPEC = RunSpec(image_id=SOME_IMAGE)


@pytest.fixture
def busy_store(run_dir):
    """Hosts in every state, failures over the day, claims in line."""
    kept = [
        {"name": f"runc: property_{n}", "kept": True, "detail": "nothing was reached", "fix": ""}
        for n in range(6)
    ]
    broken = {
        "name": "runc: no_network", "kept": False, "detail": "['1.1.1.1', 53] was reached from inside a sandbox",
        "fix": "Start sandboxes with --network none; see docs/operations/sandbox.md.",
    }  # fmt: skip
    known_host("sandbox-1.example.com", findings=kept, address="10.0.0.7:7070")
    mended = known_host(
        "sandbox-2.example.com", findings=[broken, *kept], refusal="runc: no_network: 1.1.1.1 answers"
    )
    gone = known_host("sandbox-3.example.com", findings=kept)
    hosts.note_status(gone, to=Host.Status.LOST, by="watch", reason="silent since 10:11:12")
    hosts.drain_host(name=mended.name, by="olivia@example.com")
    PoolTarget.objects.create(
        tenant="01a2175c-ebd0-702b-ad29-56584f20e276",
        spec=SPEC.as_json(),
        spec_key=SPEC.fingerprint,
        floor=1,
        wanted=3,
    )
    for number in range(12):
        warm_row(
            SPEC, status=Sandbox.Status.FAILED, host="sandbox-1.example.com", failure_code="exited",
            fault=Fault.AGENT if number % 3 else Fault.PLATFORM, reason="the agent ended with code 7",
            ended_at=now() - timedelta(hours=number * 2),
        )  # fmt: skip
    for number in range(2):
        warm_row(SPEC, host="sandbox-1.example.com")
        WaitingClaim.objects.create(
            claim_key=f"conversation:01a2175c-ebd0-702b-ad29-56584f20e27{number}",
            tenant="version-1",
            trust="untrusted",
            seen_at=now() + timedelta(hours=1),
        )


def test_pages_on_sandboxes_are_clean(browser, live_server, client, olivia, busy_store):
    client.force_login(olivia)
    pages = ["", "hosts/sandbox-1.example.com/", "hosts/sandbox-2.example.com/"]
    cookies = session_cookies(client, live_server.url)
    walk(browser, live_server.url + "/operator/sandboxes/", pages, cookies=cookies)


def test_draining_asks_first(browser, live_server, client, olivia, busy_store):
    client.force_login(olivia)
    page = next(iter(looks(browser, cookies=session_cookies(client, live_server.url))))
    page.goto(f"{live_server.url}/operator/sandboxes/hosts/sandbox-1.example.com/")
    page.get_by_role("button", name="Drain").click()
    assert Host.objects.get(name="sandbox-1.example.com").status == "up"
    page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    page.get_by_text("Out of service").wait_for()
    assert Host.objects.get(name="sandbox-1.example.com").status == "draining"
