"""A process that is killed right after each answer of the processor, before it can note what it was told."""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import urlsplit

from django.conf import settings

from tests.billing.standin import ROOT
from tests.database import database_url

# Django starts once; each attempt is a fork of it, with connections of its own. What has killed once does not again.
_SCRIPT = """
import os, signal, sys
import django
django.setup()
from stripe import RequestsClient
{imports}

def attempt(done):
    real = RequestsClient.request

    def request(self, method, url, headers, post_data=None, *args, **more):
        answer = real(self, method, url, headers, post_data, *args, **more)
        call = f"{{method}} {{url}} {{post_data}}"
        if method == "post" and call not in done:
            os.write(told, call.encode())
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    RequestsClient.request = request
    {work}
    os._exit(0)

done = set()
while len(done) < 60:
    read, told = os.pipe()
    child = os.fork()
    if child == 0:
        attempt(done)
    os.close(told)
    call = os.fdopen(read).read()
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        print(f"ended {{status}}", flush=True)
        break
    done.add(call)
    print("killed", call.split()[1], flush=True)
"""


def kill_after_each_call(imports: str, work: str) -> list[str]:
    """Run the work until it ends by itself, killing it right after each answer to a call that changes something.

    Gives the paths of the calls that killed.
    """
    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(imports=imports, work=work)],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "agentstore.settings",
            "STRIPE_API_BASE": settings.STRIPE_API_BASE,
            "STRIPE_API_KEY": settings.STRIPE_API_KEY,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = ran.stdout.split("\n")
    assert "ended 0" in lines, ran.stdout + ran.stderr
    return [urlsplit(line.split()[1]).path for line in lines if line.startswith("killed")]
