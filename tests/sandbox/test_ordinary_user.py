"""The engine-less driver as a user who is nobody: limits by gVisor itself and by the watchdog, all attacks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection

from sandbox.bench import PROBE
from sandbox.engine.relay import build_relay_kit
from sandbox.images import build_source
from sandbox.places import SANDBOX_UID
from tests.sandbox.drivers import missing_drivers

REPOSITORY = Path(__file__).resolve().parents[2]
# Not the doctor's own command: it keeps rows of hosts, and the system's interpreter may lack what that needs.
DOCTOR = """
import dataclasses, json, os, sys, django
sys.path.insert(0, os.getcwd())
os.environ["DJANGO_SETTINGS_MODULE"] = "agentstore.settings"
django.setup()
from sandbox.bench import Bench
from sandbox.conformance import ATTACKS
from sandbox.drivers import make_driver
from sandbox.proof import prove
from sandbox.spec import Trust
driver = make_driver("runsc")
findings = prove(driver)
with Bench(driver, Trust.UNTRUSTED) as bench:
    findings += [check(bench) for check in ATTACKS if not sys.argv[1:] or check.name in sys.argv[1:]]
print("\\n" + json.dumps([dataclasses.asdict(finding) for finding in findings]))
"""
pytestmark = [
    pytest.mark.containers,
    pytest.mark.timeout(420),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else"),
]


def run(*command, **options):
    return subprocess.run(
        command, user=SANDBOX_UID, group=SANDBOX_UID, extra_groups=[], cwd=REPOSITORY, capture_output=True,
        text=True, timeout=400, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def python() -> str:
    """An interpreter that nobody can start: ours, or the system's where ours lies in somebody's home."""
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            if run(candidate, "-c", "pass").returncode == 0:
                return candidate
        except OSError:
            continue
    pytest.skip("no interpreter here can be started by an ordinary user")


@pytest.fixture
def home(transactional_db):
    """A data and a run directory of that user's, with what building would take minutes to fetch again."""
    if reason := missing_drivers().get("runsc"):
        pytest.skip(f"no runsc here: {reason}")
    build_relay_kit()
    build_source(bundle_dir=PROBE, runtime="python", command=["python3", "main.py"])
    directory = Path(tempfile.mkdtemp(prefix="as-"))
    for name in ("images", "sandbox"):
        ignored = shutil.ignore_patterns("roots", "layers" if name == "sandbox" else "")
        shutil.copytree(django_settings.DATA_DIR / name, directory / "data" / name, ignore=ignored)
    (directory / "run").mkdir()
    for path in (directory, *directory.rglob("*")):
        os.chown(path, SANDBOX_UID, SANDBOX_UID, follow_symlinks=False)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


# What the watchdog and the namespace keep in place of control groups and mounts.
OTHERWISE = ("contains_memory_hog", "contains_cpu_spin", "contains_disk_fill", "contains_fork_bomb")


@pytest.mark.parametrize(
    "attacks", [OTHERWISE, pytest.param((), marks=pytest.mark.soak)], ids=["some", "all"]
)
def test_every_property_holds_for_an_ordinary_user(home, python, attacks):
    database = connection.settings_dict
    environment = {
        **os.environ,
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AGENTSTORE_SERVICES_ENV": "/nonexistent",
        "AGENTSTORE_DATA_DIR": str(home / "data"),
        "AGENTSTORE_RUN_DIR": str(home / "run"),
        "DATABASE_URL": "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database),
        "HOME": str(home),
    }
    done = run(python, "-c", DOCTOR, *attacks, env=environment)
    assert done.stdout, done.stderr[-2000:]
    findings = json.loads(done.stdout.splitlines()[-1])
    assert [f"{f['name']}: {f['detail']}" for f in findings if not f["kept"]] == []
    told = {f["name"]: f["detail"] for f in findings}
    assert "watchdog" in told["memory_limit"]
    assert {"runsc: no_network", "contains_memory_hog", "contains_cpu_spin", "contains_disk_fill"} <= set(
        told
    )
    assert done.returncode == 0
    assert not list((home / "run" / "runsc").iterdir())
    assert not list((home / "run" / "sandboxes").iterdir())
