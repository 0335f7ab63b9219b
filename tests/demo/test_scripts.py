"""The commands of a bare machine: what they say, and how they end where they may not help."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NOBODY = 65534


def run(*command: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=options.pop("cwd", REPOSITORY), capture_output=True, text=True, timeout=60, **options
    )


def test_make_alone_lists_every_command():
    listed = run("make").stdout
    targets = re.findall(r"^([a-z]+):.*## ", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)
    assert [target for target in targets if f"make {target} " not in listed] == []


@pytest.mark.parametrize("script", [*sorted(REPOSITORY.glob("scripts/*.sh")), REPOSITORY / ".ci" / "run"])
def test_a_script_parses_stops_at_errors_and_can_be_run(script):
    assert run("bash", "-n", str(script)).returncode == 0
    assert re.search(r"^set -[eu]*uo pipefail$", script.read_text(), flags=re.MULTILINE)
    assert os.access(script, os.X_OK)


def setup_engine_as_nobody(**environment):
    script = (REPOSITORY / "scripts" / "setup_engine.sh").read_text()
    return run(
        shutil.which("bash") or "bash",
        "-c",
        script.replace('cd "$(dirname "$0")/.."', "cd /"),
        cwd="/",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        env={**os.environ, **environment},
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without an engine")
def test_without_rights_the_engine_says_what_to_do_and_ends_with_its_own_code():
    """On a machine without gVisor, which is told by what can be found."""
    with tempfile.TemporaryDirectory() as directory:
        tools = Path(directory)
        tools.chmod(0o755)
        for name in ("bash", "uname", "id", "grep", "dirname"):
            (tools / name).symlink_to(shutil.which(name) or "")
        ended = setup_engine_as_nobody(PATH=str(tools))
    assert ended.returncode == 3
    assert "let an administrator" in ended.stderr
    assert "runs without it, but no agent does" in ended.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without an engine")
@pytest.mark.skipif(shutil.which("runsc") is None, reason="gVisor is not installed")
def test_gvisor_alone_is_enough_for_somebody_without_rights():
    ended = setup_engine_as_nobody(AGENTSTORE_ENGINE="none")
    assert ended.returncode == 0
    assert ended.stdout.splitlines() == [
        "engine: No container engine is wanted (AGENTSTORE_ENGINE=none). Agents run in gVisor without one."
    ]


def test_an_engine_that_others_started_is_never_stopped():
    ours = Path("/run/agentstore-dockerd.pid")
    if ours.exists():
        pytest.skip("the daemon here was started by this project")
    before = run("docker", "info", "--format", "{{.ID}}").stdout if has_docker() else ""
    assert run("scripts/setup_engine.sh", "stop").returncode == 0
    assert (run("docker", "info", "--format", "{{.ID}}").stdout if before else "") == before


def test_a_daemon_goes_on_as_long_as_another_checkout_uses_it(tmp_path):
    """The daemon is any process of that name here, and the engine's answers are played."""
    tools = tmp_path / "tools"
    tools.mkdir()
    shutil.copy(shutil.which("sleep") or "", tools / "dockerd")
    runtimes = json.loads((REPOSITORY / "sandbox/engine/daemon.json").read_text())["runtimes"]["runsc"]
    (tools / "docker").write_text(
        f"#!/bin/sh\ncase $1 in info) echo '{json.dumps(runtimes)}';; version) echo 1;; esac\n"
    )
    (tools / "docker").chmod(0o755)
    checkouts = [tmp_path / "one", tmp_path / "other"]
    for checkout in checkouts:
        (checkout / "scripts").mkdir(parents=True)
        (checkout / "sandbox/engine").mkdir(parents=True)
        shutil.copy(REPOSITORY / "sandbox/engine/daemon.json", checkout / "sandbox/engine")
        script = checkout / "scripts/setup_engine.sh"
        shutil.copy(REPOSITORY / "scripts/setup_engine.sh", script)
        script.write_text(script.read_text().replace("/run/agentstore-dockerd", f"{tmp_path}/dockerd"))

    def engine(checkout: Path, order: str) -> str:
        environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
        environment.pop("AGENTSTORE_ENGINE", None)
        ended = run(str(checkout / "scripts/setup_engine.sh"), order, env=environment)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    with subprocess.Popen([tools / "dockerd", "60"]) as daemon:
        (tmp_path / "dockerd.pid").write_text(str(daemon.pid))
        for checkout in checkouts:
            assert engine(checkout, "start") == "engine: ready\n"
        assert "another checkout uses" in engine(checkouts[0], "stop")
        assert daemon.poll() is None
        assert engine(checkouts[1], "stop") == "engine: stopped the daemon\n"
        assert daemon.wait(10) != 0


def has_docker() -> bool:
    try:
        return run("docker", "version").returncode == 0
    except FileNotFoundError:
        return False
