"""Work that nobody waits for leaves the processor to the rest."""

import json
import subprocess
import sys

import pytest
from django.core.checks import run_checks

PROGRAM = """
import json, os, threading
from pathlib import Path
from agentstore.kit.priority import give_way

other, told = threading.Event(), threading.Event()
thread = threading.Thread(target=lambda: (other.set(), told.wait()), daemon=True)
thread.start()
other.wait()
give_way(7)
threads = [os.getpriority(os.PRIO_PROCESS, int(one)) for one in os.listdir("/proc/self/task")]
# Empty for a process of the machine's first session, which has no group.
group = Path("/proc/self/autogroup")
print(json.dumps([threads, group.read_text().split()[-1:] if group.exists() else []]))
told.set()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="niceness of threads is Linux's")
@pytest.mark.parametrize("leads", [True, False])
def test_all_its_threads_give_way_and_the_session_if_it_leads_one(leads):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
        start_new_session=leads,
    )
    threads, session = json.loads(done.stdout)
    assert threads == [7, 7]
    assert session == [] or (session == ["7"]) is leads


@pytest.mark.parametrize(
    ("niceness", "told"), [(0, []), (19, []), (-1, ["agentstore.E008"]), (20, ["agentstore.E008"])]
)
def test_a_niceness_out_of_bounds_is_told(settings, niceness, told):
    settings.PATIENT_NICENESS = niceness
    assert [each.id for each in run_checks() if each.id == "agentstore.E008"] == told
