"""An agent that does what it is asked to, and that is no good: it presses against one limit after the other."""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def memory():
    taken = []
    while True:
        taken.append(b"x" * (8 * 1024 * 1024))


def large():
    return "x" * (5 * 1024 * 1024)


def hang():
    time.sleep(600)


def forks():
    children = []
    try:
        while True:
            child = os.fork()
            if not child:
                time.sleep(600)
            children.append(child)
    except OSError as refused:
        print(f"after {len(children)} processes: {refused}", flush=True)
        raise


def disk():
    with open("/tmp/filler", "wb", buffering=0) as file:
        while True:
            file.write(b"x" * 1024 * 1024)


def files():
    opened = []
    while True:
        opened.append(os.open("/dev/null", os.O_RDONLY))


def crash():
    print("going down", flush=True)
    os._exit(3)


def spin():
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        pass
    raise RuntimeError("all that for nothing")


ATTACKS = {f.__name__: f for f in (memory, large, hang, forks, disk, files, crash, spin)}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(200, {"status": "Healthy"})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = asked["prompt"]
        # As careless agents do: it prints what it is asked, and whatever it likes to the terminal.
        print(f"\x1b[31masked: {prompt}", flush=True)
        attack = ATTACKS.get(prompt.split()[0].lower())
        # Asked the same again, it behaves: that is how trying again is tried.
        if sum(message["content"] == prompt for message in asked["messages"]) > 1:
            attack = None
        try:
            self.reply(200, {"text": attack() if attack else f"You said: {prompt}"})
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            self.reply(500, {"error": str(error)})

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
