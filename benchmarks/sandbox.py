"""How long a sandbox takes, and what it costs, beside a `docker run` of the same image in the same run.

    python -m benchmarks.sandbox [--quick] [--json]

Measures every driver that the machine has (scripts/setup_engine.sh); needs PostgreSQL and Valkey. Works in a
database of its own, which is dropped at the end. The agent is the smallest there is: Python's own HTTP server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import Report, parser
from benchmarks.store import own_store

if TYPE_CHECKING:
    from sandbox.bench import Bench, Probe
    from sandbox.driver import Driver, Usage
    from sandbox.spec import Trust

PROBE = Path(__file__).resolve().parent.parent / "sandbox" / "probe"
COLD_GOALS = {"runc": 600.0, "runsc": 1500.0}
CLAIM_GOAL = 10.0


def p95(values: list[float]) -> float:
    """The 95th percentile, by rank."""
    return sorted(values)[max(0, int(len(values) * 0.95 + 0.5) - 1)]


def timed(run: Callable[[], Any]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1000


def docker_run(image: str, runtime: str, usage: Callable[[str], Usage | None]) -> tuple[float, float]:
    """The alternative: milliseconds of a `docker run` of the image, and the bytes it holds then.

    Until the agent answers under runc. gVisor is set up without a network stack: of its containers only the run
    itself can be timed.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    network = "none" if runtime == "runsc" else "host"
    options = ["--rm", "--runtime", runtime, "--env", f"PORT={port}", "--network", network]
    command = ["docker", "run", "--detach", *options, image]
    started = time.perf_counter()
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    try:
        while network == "host":
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as asking:
                asking.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
                if asking.recv(12).endswith(b"200"):
                    break
            time.sleep(0.005)
        spent = (time.perf_counter() - started) * 1000
        return spent, settled_bytes(lambda: usage(name))
    finally:
        subprocess.run(["docker", "rm", "-f", name], capture_output=True, check=False)


def settled_bytes(usage: Callable[[], Usage | None]) -> int:
    """What is held once it grows no more: within 1 % of what it was half a second before, 10 seconds at most."""
    held, until = 0, time.monotonic() + 10
    while time.monotonic() < until:
        time.sleep(0.5)
        before, held = held, found.memory_bytes if (found := usage()) else 0
        if abs(held - before) <= held * 0.01:
            break
    return held


def cold_starts(bench: Bench, rounds: int) -> list[float]:
    """Milliseconds from nothing to an agent that answers."""
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        with bench.probe(cpus=2.0):
            found.append((time.perf_counter() - started) * 1000)
    return found


def requests(probe: Probe, rounds: int) -> list[float]:
    """Milliseconds of a request that the agent answers at once, through both relays' one."""
    return [timed(lambda: probe.ask("read", path="/proc/self/comm")) for _ in range(rounds)]


@contextlib.contextmanager
def direct_agent() -> Iterator[Path]:
    """The same agent program as a plain process on a Unix socket: what a request costs without a sandbox."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "s"
        source = (
            "import sys, socketserver; sys.path.insert(0, sys.argv[1]); import main\n"
            "class S(main.ThreadingHTTPServer):\n"
            "    address_family = 1\n"
            "    def server_bind(self): self.socket.bind(self.server_address)\n"
            "main.Probe.address_string = lambda self: ''\n"
            "S(sys.argv[2], main.Probe).serve_forever()\n"
        )
        process = subprocess.Popen([sys.executable, "-c", source, str(PROBE), str(path)])
        try:
            while not path.exists():
                time.sleep(0.01)
            yield path
        finally:
            process.kill()
            process.wait()


def direct_requests(rounds: int) -> list[float]:
    """As `requests`, without a sandbox."""
    from sandbox.doors import LocalDoor
    from sandbox.protocols import InvokeRequest, for_name

    prompt = json.dumps({"attack": "read", "path": "/proc/self/comm"})
    request = InvokeRequest(prompt=prompt, messages=(), conversation="c", turn="t")

    async def ask(path: Path) -> None:
        async for _ in for_name("http").invoke(LocalDoor(path), request, 10):
            pass

    with direct_agent() as path:
        return [timed(lambda: asyncio.run(ask(path))) for _ in range(rounds)]


def warm_claims(rounds: int) -> list[float]:
    """Milliseconds of `pool.claim` on warm rows whose sockets answer."""
    from agentstore.kit.clock import now
    from sandbox import pool
    from sandbox.models import Sandbox
    from sandbox.places import door_dir, socket_path
    from sandbox.spec import RunSpec
    from sandbox.tokens import mint_token

    spec = RunSpec(image_id="sha256:" + "0" * 64)
    with contextlib.ExitStack() as servers:
        for _ in range(rounds):
            row = Sandbox.objects.create(
                image_id=spec.image_id, tenant="bench", spec=spec.as_json(), spec_key=spec.fingerprint,
                status=Sandbox.Status.WARM, token_hash=mint_token().digest, ready_at=now(),
            )  # fmt: skip
            door_dir(row.pk).mkdir(parents=True)
            server = servers.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(str(socket_path(row.pk)))
            server.listen(8)

        def claim(number: int) -> None:
            pool.claim(spec=spec, tenant="bench", claim_key=f"c{number}", wait_seconds=0)

        return [timed(partial(claim, number)) for number in range(rounds)]


def measure(report: Report, *, rounds: int) -> None:
    """Everything, with the database of its own already there."""
    from sandbox.drivers import present_drivers
    from sandbox.images import build_source
    from sandbox.spec import Trust

    plain = statistics.median(direct_requests(rounds * 5))
    report.add("request without a sandbox, median", plain, "ms", "lower")
    drivers = {driver.name: driver for driver in present_drivers()}
    # As agents are published: with their bytecode, so that a `docker run` has it too.
    image = build_source(
        bundle_dir=PROBE,
        runtime="python",
        command=["python3", "main.py"],
        driver=next(iter(drivers.values())),
    )
    engine = drivers.get("docker")
    seen = set[tuple[str, str]]()
    for driver in drivers.values():
        for trust in Trust:
            kind = (driver.name, driver.runtime_for(trust))
            if kind in seen:
                continue
            seen.add(kind)
            alternative = None
            if engine is not None:
                engine.ensure_image(image.image_id)
                runs = [docker_run(image.image_id, kind[1], engine.usage) for _ in range(rounds)]
                alternative = statistics.median(r[0] for r in runs), statistics.median(r[1] for r in runs)
            measure_driver(report, driver, trust, rounds=rounds, plain=plain, alternative=alternative)
    claims = warm_claims(rounds * 10)
    report.add("claim of a warm one, median", statistics.median(claims), "ms", "lower")
    report.add("claim of a warm one, p95", p95(claims), "ms", "lower", CLAIM_GOAL)


def measure_driver(
    report: Report, driver: Driver, trust: Trust, *, rounds: int, plain: float,
    alternative: tuple[float, float] | None,
) -> None:  # fmt: skip
    """One driver with one runtime; `alternative` is the median time and memory of a `docker run`."""
    from sandbox.bench import Bench

    runtime = driver.runtime_for(trust)
    name = runtime if driver.name == "docker" else f"{driver.name} without an engine"
    with Bench(driver, trust) as bench:
        cold = cold_starts(bench, rounds)
        report.add(f"cold start, {name}, median", statistics.median(cold), "ms", "lower")
        report.add(f"cold start, {name}, p95", p95(cold), "ms", "lower", COLD_GOALS[runtime])
        if alternative is not None:
            until = "answers" if runtime == "runc" else "runs"
            ratio = statistics.median(cold) / alternative[0]
            report.add(f"cold start, {name}, against docker run until it {until}", ratio, "x", "lower")
        for cpus in (0.5, 2.0):
            with bench.probe(cpus=cpus) as probe:
                asked = statistics.median(requests(probe, rounds * 5))
                held = settled_bytes(partial(driver.usage, probe.handle))
            report.add(f"request overhead, {name}, {cpus:g} CPU", asked - plain, "ms", "lower")
            report.add(f"request, {name}, {cpus:g} CPU, against none", asked / plain, "x", "lower")
        if held:
            report.add(f"memory of an idle one, {name}", held / 1e6, "MB", "lower")
            if alternative is not None and alternative[1]:
                ratio = held / alternative[1]
                report.add(f"memory of an idle one, {name}, against docker run", ratio, "x", "lower")


def main() -> None:
    """The command."""
    options = parser(__doc__ or "").parse_args()
    os.environ.setdefault("LOG_LEVEL", "ERROR")
    rounds = 5 if options.quick else 20
    report = Report({"rounds": rounds})
    # A socket's path has 107 bytes: the directory is short.
    with own_store("sandbox"), tempfile.TemporaryDirectory(prefix="as-") as directory:
        from django.conf import settings

        settings.RUN_DIR = Path(directory)
        settings.SANDBOX_STACK = f"bench-{os.getpid()}"
        measure(report, rounds=rounds)
    report.show(as_json=options.json)


if __name__ == "__main__":
    main()
