"""Hosts come, beat, are drained, get lost and come back; what they found decides what is started there."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from io import StringIO
from typing import cast

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from agentstore.kit.clock import now
from sandbox import hosts, metrics, pool, tending
from sandbox.driver import Driver, Finding, NoDriver
from sandbox.failures import Fault
from sandbox.models import Host, Sandbox
from sandbox.spec import RunSpec, Trust
from tests.cast import PASSWORD
from tests.sandbox.conftest import SOME_IMAGE, known_host
from tests.sandbox.servers import warm_row

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("run_dir")]
SPEC = RunSpec(image_id=SOME_IMAGE)
Status = Sandbox.Status


class OnlyReviewed:
    """A driver whose engine lacks the runtime for untrusted code."""

    name = "some"

    def runtime_for(self, trust):
        if trust == Trust.REVIEWED:
            return "runc"
        raise NoDriver("no such runtime")


def prove(*findings):
    hosts.record_proof(driver=cast("Driver", OnlyReviewed()), findings=findings)


def history(host):
    return [(change.to_status, change.by) for change in host.changes.all()]


def test_a_host_makes_itself_known_and_starts_nothing_before_it_is_proven(settings):
    settings.SANDBOX_HOST, settings.SANDBOX_MAX, settings.SANDBOX_MEMORY_MB = "one", 7, 100
    host = hosts.beat()
    assert (host.places, host.memory_bytes, host.status) == (7, 100 * 2**20, "up")
    assert not hosts.placeable(Trust.REVIEWED).exists()
    prove(Finding("runc: starts", True, "answers"))
    assert hosts.placeable(Trust.REVIEWED).get().name == "one"
    assert not hosts.placeable(Trust.UNTRUSTED).exists()


def test_a_broken_property_stops_starts_and_is_green_again_by_itself(settings, client):
    settings.SANDBOX_HOST, settings.LIVE = "one", True
    hosts.beat()
    broken = [Finding("runc: no_network", False, "1.1.1.1 answered", "Use --network none.")]
    for findings, code in ((broken, 503), ([Finding("runc: starts", True, "answers")], 200)):
        prove(*findings)
        assert hosts.placeable(Trust.REVIEWED).exists() == (code == 200)
        answer = client.get(reverse("sandbox:ready"))
        assert (answer.status_code, answer.json()["ready"]) == (code, code == 200)
        assert "no_network" not in answer.content.decode(), "strangers are not told what is broken"
    settings.LIVE = False
    hosts.record_refusal(why="no engine")
    assert client.get(reverse("sandbox:ready")).json() == {"ready": False, "hosts": 1, "usable": 0}


def test_a_silent_host_is_lost_with_its_sandboxes_and_comes_back_empty(settings):
    settings.SANDBOX_HOST = "gone"
    host = hosts.beat()
    lost, _ = warm_row(SPEC, host="gone", status=Status.CLAIMED, claim_key="c")
    kept, _ = warm_row(SPEC, host="alive", status=Status.CLAIMED, claim_key="d")
    known_host("alive")
    assert hosts.note_lost_hosts() == 0
    Host.objects.filter(name="gone").update(heartbeat_at=now() - timedelta(seconds=600))
    assert _lost_in_a_database_that_is_old() == 1
    lost.refresh_from_db()
    kept.refresh_from_db()
    assert (lost.status, lost.fault, lost.failure_code) == (Status.FAILED, Fault.PLATFORM, "host_lost")
    assert kept.status == Status.CLAIMED
    hosts.beat()
    assert history(host) == [("up", "gone"), ("lost", "watch"), ("up", "gone")]
    assert lost.pk not in hosts.live_sandboxes("gone")


def _lost_in_a_database_that_is_old() -> int:
    """The test's server may be younger than the time after which a host is lost: wait for it, at most that long."""
    until = time.monotonic() + 40
    while not (lost := hosts.note_lost_hosts()):
        assert time.monotonic() < until
        time.sleep(0.2)
    return lost


def test_a_drained_host_keeps_running_turns_alone(settings):
    settings.SANDBOX_HOST = "one"
    host = hosts.beat()
    warm, _ = warm_row(SPEC, host="one")
    rests, _ = warm_row(SPEC, host="one", status=Status.CLAIMED, claim_key="rests")
    busy, _ = warm_row(
        SPEC, host="one", status=Status.CLAIMED, claim_key="busy", busy_until=now() + timedelta(minutes=1)
    )
    hosts.drain_host(name="one", by="olivia")
    assert tending.tend_pool()["stopped"] == 2
    assert hosts.live_sandboxes("one") == [busy.pk]
    with pytest.raises(pool.NoCapacity):
        pool.claim(spec=SPEC, tenant="version-1", claim_key="new", wait_seconds=0)
    pool.rest_claim(claim_key="busy")
    assert tending.tend_pool()["stopped"] == 1
    # It was lost while it drained: it comes back as what the operator wanted it to be.
    hosts.note_status(host, to=Host.Status.LOST, by="test", reason="away")
    assert hosts.beat().status == Host.Status.DRAINING
    assert hosts.undrain_host(name="one", by="olivia").status == Host.Status.UP
    assert {warm.pk, rests.pk, busy.pk} == set(
        Sandbox.objects.filter(status=Status.STOPPED).values_list("pk", flat=True)
    )


def test_the_command_lists_drains_and_refuses_unknown_hosts(settings):
    settings.SANDBOX_HOST = "one"
    known_host("one", places=3)
    said = StringIO()
    call_command("sandbox_host", "list", stdout=said)
    assert "one: up, 0 of 3 places" in said.getvalue()
    call_command("sandbox_host", "drain", "one", "--wait", "5", stdout=said)
    assert "one is empty" in said.getvalue()
    call_command("sandbox_host", "undrain", "one", stdout=said)
    assert Host.objects.get(name="one").status == Host.Status.UP
    with pytest.raises(CommandError, match="no sandbox host"):
        call_command("sandbox_host", "drain", "two")


def test_operators_drain_and_nobody_else_sees_it(client, olivia, charlie):
    found = [{"name": "runc: no_network", "kept": False, "detail": "<b>1.1.1.1</b>", "fix": "Use none."}]
    known_host("one", findings=found, refusal="runc: no_network: it answered")
    page, button = reverse("sandbox:host", args=["one"]), reverse("sandbox:drain", args=["one"])
    assert client.post(button).status_code == 302
    assert client.login(email=charlie.email, password=PASSWORD)
    assert {client.get(page).status_code, client.post(button).status_code} == {404}
    assert Host.objects.get().status == Host.Status.UP
    assert client.login(email=olivia.email, password=PASSWORD)
    assert client.get(button).status_code == 405
    shown = client.get(page).content.decode()
    assert "&lt;b&gt;1.1.1.1" in shown
    assert "Use none." in shown
    assert client.get(reverse("sandbox:host", args=["two"])).status_code == 404
    assert client.post(button, follow=True).status_code == 200
    assert Host.objects.get().status == Host.Status.DRAINING
    assert client.post(button, {"back": "1"}, follow=True).status_code == 200
    assert history(Host.objects.get()) == [("draining", olivia.email), ("up", olivia.email)]


def test_metrics_are_for_who_has_the_token(client, charlie, settings):
    known_host("one", places=3)
    warm_row(SPEC, host="one")
    metrics.count("failures", fault="agent", code="exited", host="one")
    metrics.observe("claim_seconds", 0.004, warm="true")
    metrics.observe("claim_seconds", 0.3, warm="true")
    url = reverse("sandbox:metrics")
    assert client.get(url).status_code == 404, "without a token set there is no such page"
    settings.METRICS_TOKEN = "scrape-me"
    assert client.login(email=charlie.email, password=PASSWORD)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "scrape-me"}):
        assert client.get(url, headers=headers).status_code == 404
    answer = client.get(url, headers={"Authorization": "Bearer scrape-me"})
    lines = answer.content.decode().splitlines()
    assert 'sandbox_live{host="one",status="warm"} 1.0' in lines
    assert 'sandbox_places{host="one"} 3.0' in lines
    value = {
        line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")
    }
    assert value['sandbox_failures_total{code="exited",fault="agent",host="one"}'] >= 1
    few, more = (value[f'sandbox_claim_seconds_bucket{{le="{le}",warm="true"}}'] for le in ("0.005", "0.5"))
    assert more >= few + 1 >= 2
    assert value['sandbox_claim_seconds_count{warm="true"}'] >= more


def test_the_doctor_writes_to_the_host_what_it_could_not_find(settings):
    settings.SANDBOX_HOST, settings.SANDBOX_DRIVER = "one", "no-such-driver"
    with pytest.raises(CommandError):
        call_command("sandbox_doctor", "--host", "--driver", "no-such-driver", stdout=StringIO())
    assert "no-such-driver" in Host.objects.get(name="one").refusal


@pytest.mark.containers
def test_the_doctor_proves_this_host_and_tells_every_property(driver, settings):
    settings.SANDBOX_HOST, settings.SANDBOX_UNTRUSTED_RUNTIME = "one", "runc"
    said = StringIO()
    call_command("sandbox_doctor", "--host", "--driver", "docker", "--json", stdout=said)
    host = Host.objects.get(name="one")
    assert [f["name"] for f in host.findings] == [f["name"] for f in json.loads(said.getvalue())["findings"]]
    assert (host.driver, host.refusal) == ("docker", "")
    assert hosts.placeable(Trust.UNTRUSTED).exists()
