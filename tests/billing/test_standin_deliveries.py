"""The stand-in tells of what happened, whoever is killed meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agentstore.kit.money import Money
from billing.processor import payments
from billing.processor.events import verify_event
from tests.billing.standin import ROOT, SECRET, StandIn


class Receiver(ThreadingHTTPServer):
    """Takes events, or is out of order."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[dict[str, Any]] = []
        self.broken = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.broken:
            self.server.events.append(verify_event(body=body, signature=self.headers["Stripe-Signature"]))
        self.send_response(500 if self.server.broken else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def receiver(settings):
    settings.STRIPE_WEBHOOK_SECRET = SECRET
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def own_standin(receiver, tmp_path, settings):
    process = StandIn(tmp_path / "state.sqlite3", receiver.url)
    settings.STRIPE_API_BASE = process.base
    settings.STRIPE_API_KEY = "sk_test_standin"
    yield process
    process.kill()


def pay(reference: str) -> payments.Payment:
    created = payments.create_payment(reference=reference, amount=Money.from_minor(999, "USD"))
    return payments.confirm_payment(payment_id=created.id, payment_method="pm_card_visa")


def wait_for(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def test_events_arrive_signed_in_order(own_standin, receiver):
    payment = pay(str(uuid.uuid4()))
    wait_for(lambda: len(receiver.events) >= 3)
    assert [event["type"] for event in receiver.events] == [
        "payment_intent.created", "charge.succeeded", "payment_intent.succeeded",
    ]  # fmt: skip
    assert receiver.events[-1]["data"]["object"]["id"] == payment.id
    first = receiver.events[0]["id"]
    own_standin.post(f"/events/{first}/resend")
    wait_for(lambda: [event["id"] for event in receiver.events].count(first) == 2)


def test_a_kill_loses_neither_state_nor_events(own_standin, receiver):
    receiver.broken = True
    payment = pay("order-of-a-killed-process")
    own_standin.kill()
    receiver.broken = False
    own_standin.start()
    assert payments.retrieve_payment(payment_id=payment.id).paid
    assert pay("order-of-a-killed-process").charge_id == payment.charge_id, "its keys outlive it too"
    wait_for(lambda: own_standin.undelivered() == 0)
    assert {event["type"] for event in receiver.events} == {
        "payment_intent.created", "charge.succeeded", "payment_intent.succeeded",
    }  # fmt: skip


@pytest.mark.parametrize(
    "environment",
    [{"AGENTSTORE_MODE": "live", "SECRET_KEY": "x" * 60}, {"STRIPE_API_KEY": "sk_live_abc"}],
)
def test_it_refuses_to_run_near_real_money(environment):
    ran = subprocess.run(
        [sys.executable, "-m", "billing.stripe_standin"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 2
    assert "refuses to run in live mode or with a live key" in ran.stderr
    assert json.dumps(ran.stdout) == '""'
