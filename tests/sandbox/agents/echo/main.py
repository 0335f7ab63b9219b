"""The smallest agent of the contract: healthy at once, says back what it is told; standard library alone."""

import json
import os
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Agent(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"status": "Healthy"})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = request["prompt"]
        if prompt.startswith("gateway "):
            self.answer({"text": self.ask_gateway(prompt.removeprefix("gateway "))})
        elif prompt.startswith("think "):
            time.sleep(float(prompt.removeprefix("think ")))
            self.answer({"text": "I thought about it"})
        elif prompt == "die":
            os._exit(3)
        else:
            self.answer({"text": f"You said: {prompt}"})

    def ask_gateway(self, path):
        call = urllib.request.Request(  # noqa: S310  (the gateway of the contract)
            os.environ["AGENTSTORE_URL"] + path,
            headers={"Authorization": "Bearer " + os.environ["AGENTSTORE_TOKEN"]},
        )
        try:
            with urllib.request.urlopen(call, timeout=5) as answer:  # noqa: S310
                return answer.read().decode()
        except OSError as away:
            return f"error: {away}"

    def answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


print("echo agent is listening", flush=True)
ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Agent).serve_forever()
