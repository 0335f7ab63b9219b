from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from docker.errors import APIError

from agentstore.kit.clock import now
from agentstore.kit.ids import new_id
from sandbox import hosts, reaper
from sandbox.driver import Driver
from sandbox.drivers import DRIVERS, make_driver
from sandbox.drivers.docker_images import repository
from sandbox.engine.client import engine_client
from sandbox.images import BuiltImage, build_source
from sandbox.models import Host
from sandbox.spec import RunSpec, Trust
from tests.sandbox.drivers import missing_drivers

AGENTS = Path(__file__).with_name("agents")


@pytest.fixture
def run_dir(settings):
    """A place for sockets of this test alone, short enough for their paths."""
    directory = Path(tempfile.mkdtemp(prefix="as-"))
    settings.RUN_DIR = directory
    settings.GATEWAY_SOCKET_DIR = directory / "gateway"
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def image_dir(settings, tmp_path):
    """An image store of this test alone."""
    settings.STORAGES = {
        **settings.STORAGES,
        "images": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "images")},
        },
    }
    settings.DATA_DIR = tmp_path / "data"
    return tmp_path / "images"


@pytest.fixture(params=list(DRIVERS))
def driver(request) -> Driver:
    """Each driver that there is; skipped, with the reason, where this machine can't have it."""
    if reason := missing_drivers().get(request.param):
        pytest.skip(f"no {request.param} here: {reason}")
    return make_driver(request.param)


@pytest.fixture(params=list(Trust), ids=lambda trust: trust.value)
def trust(request, driver) -> Trust:
    wanted: Trust = request.param
    if driver.name == "runsc" and wanted is Trust.REVIEWED:
        pytest.skip("without an engine reviewed code runs as untrusted code does: once is enough")
    driver.runtime_for(wanted)
    return wanted


@pytest.fixture
def echo_image(db) -> BuiltImage:
    return build_source(bundle_dir=AGENTS / "echo", runtime="python", command="python3 main.py")


@pytest.fixture
def here(db) -> Host:
    """This host, proven, with as many places as a test may want; it is never lost."""
    return known_host(hosts.this_host())


def known_host(name: str, **fields) -> Host:
    found, _ = Host.objects.update_or_create(
        name=name,
        defaults={
            "driver": "docker", "runtimes": {trust.value: "runc" for trust in Trust}, "places": 24,
            "memory_bytes": 2**50, "proven_at": now(), "heartbeat_at": now() + timedelta(days=1), **fields,
        },
    )  # fmt: skip
    return found


@pytest.fixture(scope="session")
def engine_images():
    """The names under which images stay in the engine until the run ends: a test finds what another brought in."""
    names: set[str] = set()
    yield names
    if names:
        api = engine_client().api
        for row in api.images(name="agentstore/store-*"):
            for tag in row["RepoTags"] or ():
                if tag.partition(":")[0] in names:
                    with suppress(APIError):  # a container of another run has it
                        api.remove_image(tag)


@pytest.fixture
def own_stack(settings, driver, transactional_db, run_dir, engine_images):
    """A stack of this test alone, of which nothing is left afterwards; tasks run where they are enqueued."""
    settings.SANDBOX_STACK = f"test-{new_id().hex[-8:]}"
    settings.SANDBOX_DRIVER = driver.name
    settings.CELERY_TASK_ALWAYS_EAGER = True
    known_host(hosts.this_host())
    from agentstore.celery import app

    app.conf.task_always_eager = True
    yield settings.SANDBOX_STACK
    app.conf.task_always_eager = False
    reaper.remove_everything(driver=driver, by="test")
    if driver.name == "docker":
        engine_images.add(repository())


@pytest.fixture
def spec(echo_image) -> RunSpec:
    return RunSpec(image_id=echo_image.image_id, trust=Trust.REVIEWED, cpus=1.0)


SOME_IMAGE = "sha256:" + "0" * 64
