"""What only the driver without an engine has: keepers, control groups of our own, a watchdog, unpacked roots."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections import defaultdict

import psutil
import pytest

from agentstore.embedded.processes import wait_until
from agentstore.kit.ids import new_id
from sandbox import conformance, doors, drivers
from sandbox.bench import Bench
from sandbox.driver import DriverError, NoDriver
from sandbox.drivers import chosen_driver, last_choice, runsc_roots
from sandbox.drivers.runsc import RunscDriver
from sandbox.engine.client import engine_client
from sandbox.keeper import cgroups, orders
from sandbox.keeper.watchdog import Allowance
from sandbox.places import proof_stack
from sandbox.spec import MIB, Trust
from tests.sandbox.drivers import missing_drivers
from tests.sandbox.outside import directory_of

pytestmark = pytest.mark.containers


@pytest.fixture(params=["runsc"])
def driver(request):
    if reason := missing_drivers().get(request.param):
        pytest.skip(f"no {request.param} here: {reason}")
    return RunscDriver()


@pytest.fixture
def bench(driver, db, run_dir):
    with Bench(driver, Trust.UNTRUSTED) as bench:
        yield bench


def keeper_of(probe) -> psutil.Process:
    return psutil.Process(int((directory_of(probe.id) / "keeper").read_text()))


def family(keeper: psutil.Process) -> list[psutil.Process]:
    return [keeper, *keeper.children(recursive=True)]


def all_gone(processes) -> bool:
    return all(
        not p.is_running() or (p.status() == psutil.STATUS_ZOMBIE and p.ppid() == 1) for p in processes
    )


def groups_of(sandbox_id: uuid.UUID) -> list[str]:
    # Not by `glob`, which fails where another's group goes while it looks.
    sought = f"/agentstore/{sandbox_id.hex}"
    return [found for found, _, _ in os.walk("/sys/fs/cgroup") if found.endswith(sought)]


def test_the_end_of_the_worker_is_not_the_end_of_its_sandboxes(bench, driver):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with bench.probe() as probe:
            os.write(writing, probe.id.hex.encode())
            os.kill(os.getpid(), signal.SIGKILL)
    os.close(writing)
    sandbox_id = uuid.UUID(hex=os.read(reading, 64).decode())
    os.close(reading)
    os.waitpid(child, 0)
    (found,) = driver.list_sandboxes(proof_stack())
    assert (found.sandbox_id, found.running) == (sandbox_id, True)
    assert doors.local_door(sandbox_id).is_answering()
    processes = family(psutil.Process(int((directory_of(sandbox_id) / "keeper").read_text())))
    assert processes[0].ppid() != os.getpid(), "whoever starts one is not its parent"
    assert len(processes) > 3
    driver.stop(found.handle)
    doors.remove(sandbox_id)
    assert all_gone(processes)
    assert not driver.list_sandboxes(proof_stack())
    assert not groups_of(sandbox_id)


def test_a_killed_keeper_takes_its_sandbox_with_it(bench, driver):
    with bench.probe() as probe:
        processes = family(keeper_of(probe))
        processes[0].kill()
        assert wait_until(lambda: all_gone(processes), seconds=10)
        state = probe.state()
        assert (state.exists, state.running, state.out_of_memory) == (True, False, False)
        driver.stop(probe.handle)
        assert not probe.state().exists
        assert not groups_of(probe.id)


def test_a_stop_leaves_no_process_no_group_and_no_directory(bench, driver):
    with bench.probe() as probe:
        processes = family(keeper_of(probe))
        driver.stop(probe.handle)
        assert all_gone(processes)
        assert not groups_of(probe.id)
        assert not directory_of(probe.id).exists()
        assert driver.usage(probe.handle) is None
        driver.stop(probe.handle)


def test_what_a_start_left_that_was_cut_off_is_found_and_removed(driver, db, run_dir):
    """As after a kill between the order and the keeper's start, and between any two files before."""
    home, sandbox_id = run_dir / "runsc", new_id()
    whole, half = home / sandbox_id.hex, home / f".new-{sandbox_id.hex}-1"
    for directory in (whole, half):
        directory.mkdir(parents=True)
        (directory / "config.json").write_text("{}")
    orders.write_order(
        whole,
        orders.Order(
            stack=proof_stack(), sandbox_id=str(sandbox_id), image_id="", command=[], door="", cgroup_roots={},
            cgroup_name="", own_namespace=False, memory_bytes=0, cpus=1, pids=1,
        ),
    )  # fmt: skip
    (found,) = driver.list_sandboxes(proof_stack())
    assert (found.sandbox_id, found.running) == (sandbox_id, False)
    assert half.exists(), "it may be in the making"
    driver.stop(found.handle)
    os.utime(half, (time.time() - 3600,) * 2)
    assert not driver.list_sandboxes(proof_stack())
    assert not list(home.iterdir())


def test_handles_of_others_are_nothing_here(driver, run_dir):
    for handle in ("agentstore-" + new_id().hex, "0" * 64, "../../etc", new_id().hex):
        assert not driver.state(handle).exists
        driver.stop(handle)


def test_what_gvisor_says_is_told_when_it_does_not_start(bench, driver, tmp_path, monkeypatch):
    monkeypatch.setattr("sandbox.engine.relay.relay_kit", lambda: tmp_path / "nowhere")
    with pytest.raises(DriverError, match=r"gVisor did not start the sandbox: .*nowhere"), bench.probe():
        pass
    assert not driver.list_sandboxes(proof_stack())


@pytest.mark.parametrize(
    "attack",
    [attack for attack in conformance.ATTACKS if attack.name in ("contains_memory_hog", "contains_cpu_spin")],
    ids=lambda attack: attack.name,
)
def test_the_watchdog_keeps_what_control_groups_would(db, run_dir, driver, attack):
    with Bench(RunscDriver(use_cgroups=False), Trust.UNTRUSTED) as bench:
        found = attack(bench)
    assert found.kept, found.detail


def test_an_allowance_is_earned_and_spent():
    allowance = Allowance(0.5, at=100.0)
    assert not allowance.is_spent(used=0.2, at=100.1)
    assert allowance.is_spent(used=0.6, at=100.2)
    assert not allowance.is_spent(used=0.6, at=101.2)
    assert allowance.is_spent(used=1.6, at=101.3), "a pause earns a short burst, not more"


def test_control_groups_of_either_version_are_found_and_written(tmp_path):
    mounts, one = tmp_path / "mounts", tmp_path / "one"
    one.mkdir()
    (one / "cgroup.controllers").write_text("cpuset cpu io memory pids")
    (one / "cgroup.subtree_control").write_text("")
    mounts.write_text(f"cgroup2 {one} cgroup2 rw 0 0\n")
    roots = cgroups.find_roots(str(mounts))
    assert set(roots.values()) == {str(one)}
    (one / "agentstore").mkdir()
    (one / "agentstore" / "cgroup.subtree_control").write_text("")
    cgroups.Cgroup(roots, "x").make(memory_bytes=64 * MIB, cpus=0.5, pids=99)
    assert (one / "agentstore" / "cgroup.subtree_control").read_text() == "+memory +cpu +pids"
    told = {path.name: path.read_text() for path in (one / "agentstore" / "x").iterdir()}
    assert told["memory.max"] == str(64 * MIB)
    assert (told["memory.swap.max"], told["cpu.max"], told["pids.max"]) == ("0", "50000 100000", "99")
    # Without one of the controllers there is no half keeping of limits.
    (one / "cgroup.controllers").write_text("hugetlb memory")
    assert cgroups.find_roots(str(mounts)) == {}
    mounts.write_text(f"cgroup {tmp_path} cgroup rw,memory 0 0\ncgroup {tmp_path} cgroup rw,pids 0 0\n")
    assert cgroups.find_roots(str(mounts)) == {}


def test_a_root_is_unpacked_once_and_goes_when_nobody_keeps_it(bench, driver, settings, tmp_path):
    image_id = bench.image.image_id
    with bench.probe() as probe:
        root = runsc_roots.roots_dir() / image_id[7:]
        made = root.stat().st_ctime_ns
        driver.ensure_image(image_id)
        assert root.stat().st_ctime_ns == made
        driver.keep_images(())
        assert root.is_dir(), "a sandbox runs on it"
        assert probe.state().running
    driver.keep_images([image_id])
    assert root.is_dir()
    assert driver.keep_images(()) >= 1
    assert not root.exists()


def test_no_directory_is_made_where_a_link_of_the_image_leads(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (root / "app").symlink_to(outside)
    runsc_roots.make_directory(root, "app/deep/er")
    runsc_roots.make_directory(root, "../outside/up")
    assert not list(outside.iterdir())
    runsc_roots.make_directory(root, "srv/deep/er")
    assert (root / "srv/deep/er").is_dir()


def test_without_an_engine_it_is_chosen_and_the_reason_is_kept(db, run_dir, driver, settings, monkeypatch):
    settings.SANDBOX_DRIVER = "auto"
    monkeypatch.setattr(drivers, "_looks", defaultdict(drivers._Look))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/engine.sock")
    engine_client.cache_clear()
    try:
        assert chosen_driver().name == "runsc"
    finally:
        engine_client.cache_clear()
    choice = last_choice()
    assert choice is not None
    assert choice.driver == "runsc"
    assert [refusal.name for refusal in choice.refused] == ["docker"]
    assert "does not answer" in choice.why
    assert {"memory_limit", "runsc: no_network"} <= {finding.name for finding in choice.findings}


def test_where_nothing_is_safe_nothing_is_chosen(settings, monkeypatch, run_dir):
    settings.SANDBOX_DRIVER = "runsc"
    monkeypatch.setattr(drivers, "_looks", defaultdict(drivers._Look))
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NoDriver, match="not installed"):
        chosen_driver()
    choice = last_choice()
    assert choice is not None
    assert choice.driver == ""
