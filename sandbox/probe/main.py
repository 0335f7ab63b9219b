"""The hostile agent of the conformance suite: does on request what an attacker would try, and tells what
it got.

It speaks the ordinary contract, uses the standard library alone, and runs nowhere but inside a sandbox.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attacks
import exhaustion


class Probe(BaseHTTPRequestHandler):
    """Each invocation's prompt is JSON: the attack's name and its arguments."""

    def do_GET(self):
        """The readiness request."""
        self.answer({"status": "Healthy"})

    def do_POST(self):
        """One attack."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        order = json.loads(request["prompt"])
        name = order.pop("attack")
        attack = getattr(attacks, name, None) or getattr(exhaustion, name)
        self.answer({"text": json.dumps(attack(**order))})

    def answer(self, body):
        """200 and JSON."""
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        """Quiet, so that the log is what the attacks print."""


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Probe).serve_forever()
