"""The hostile agent of the conformance suite: does on request what an attacker would try, and tells what
it got.

It speaks the ordinary contract, uses the standard library alone, and runs nowhere but inside a sandbox. Each
attack is a function of a module of its subject; whether what it got is well is not judged here.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import answers
import devices
import disk
import doors
import kernel
import memory
import network
import outlook
import processes
import secrets_of_others

ATTACKS = {
    name: attack
    for module in (devices, disk, doors, kernel, memory, network, outlook, processes, secrets_of_others)
    for name, attack in vars(module).items()
    if callable(attack) and not name.startswith("_") and attack.__module__ == module.__name__
}


class Probe(BaseHTTPRequestHandler):
    """Each invocation's prompt is JSON: the attack's name and its arguments."""

    def do_GET(self):
        """The readiness request."""
        self.answer({"status": "Healthy"})

    def do_POST(self):
        """One attack. An answer written to hurt is sent as it is, by the attack itself."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        order = json.loads(request["prompt"])
        name = order.pop("attack")
        if name == "answer":
            self.close_connection = True
            answers.send(self.connection, **order)
        else:
            self.answer({"text": json.dumps(ATTACKS[name](**order))})

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


class Server(ThreadingHTTPServer):
    """Answers that nobody reads any more are no news."""

    def handle_error(self, request, client_address):
        """Quiet."""


if __name__ == "__main__":
    Server(("0.0.0.0", int(os.environ["PORT"])), Probe).serve_forever()
