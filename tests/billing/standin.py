"""The stand-in for Stripe as a process, which can be killed and started again on the same state."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_test"


class StandIn:
    """`python -m billing.stripe_standin` on a port of its own."""

    def __init__(self, state: Path, webhook_url: str = "") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.state = state
        self.webhook_url = webhook_url
        self.base = f"http://127.0.0.1:{self.port}"
        # One for all calls, since each client reads the certificates anew; no connection, since the server is killed.
        self.http = httpx.Client(timeout=5, limits=httpx.Limits(max_keepalive_connections=0))
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "billing.stripe_standin", "--port", str(self.port),
                "--state", str(self.state), "--webhook-url", self.webhook_url,
            ],
            cwd=ROOT,
            env={**os.environ, "STRIPE_API_KEY": "sk_test_standin", "STRIPE_WEBHOOK_SECRET": SECRET},
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                self.http.get(self.base, timeout=1)
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("the stand-in did not start")

    def post(self, path: str, **form: Any) -> Any:
        """What has no counterpart in Stripe: the clock, the bank's page, sending an event again."""
        return self.http.post(f"{self.base}/_standin{path}", data=form).json()

    def move_to(self, at: datetime) -> None:
        """Put its clock to an instant, past or to come."""
        self.post("/clock", advance=int(at.timestamp()) - self.post("/clock", advance=0)["now"])

    def get(self, path: str, **query: Any) -> Any:
        """A page of the stand-in's own, as a person opens it."""
        return self.http.get(f"{self.base}/_standin{path}", params=query).json()

    def open(self, url: str) -> httpx.Response:
        """An address that the stand-in gave out, opened by a person."""
        return self.http.get(url)

    def undelivered(self) -> int:
        """Events that the receiver hasn't acknowledged yet."""
        return int(self.http.get(f"{self.base}/_standin/outbox").json()["undelivered"])

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nothing said."""
        self.process.kill()
        self.process.wait()
