"""Bytecode is made in a sandbox, by our compiler, from a stranger's files."""

from __future__ import annotations

import tarfile

import pytest

from agentstore.kit.ids import new_id
from sandbox.engine.client import engine_client
from sandbox.images import build_source, compiling, get_image, store
from sandbox.places import proof_stack
from tests.sandbox.archives import wheel
from tests.sandbox.drivers import on_one_driver

pytestmark = [pytest.mark.containers, pytest.mark.django_db]


@pytest.fixture
def bundle(tmp_path, run_dir):
    (tmp_path / "wheels").mkdir()
    files = {"greeting/__init__.py": b"x = 1", "greeting/broken.py": b"x = (", "greeting/data.txt": b""}
    wheel(tmp_path / "wheels" / "greeting-1.0-py3-none-any.whl", files)
    # Of its own, since what was compiled once is not compiled again.
    (tmp_path / "main.py").write_text(f"print('{new_id()}')")
    # What would run if the compiler looked at the bundle for its own modules.
    (tmp_path / "tarfile.py").write_text("raise SystemExit(1)")
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit(1)")
    return tmp_path


def build(bundle, driver):
    return get_image(
        build_source(bundle_dir=bundle, runtime="python", command="python3 main.py", driver=driver).image_id
    )


def names(diff_id):
    with store.open_layer(diff_id) as file, tarfile.open(fileobj=file) as tar:
        return {member.name for member in tar if member.isreg()}


def compiler(monkeypatch, tmp_path, source):
    path = tmp_path / "compiler.py"
    path.write_text(source)
    monkeypatch.setattr(compiling, "_INSIDE", path)


def test_each_layers_bytecode_lies_on_it_and_the_wheels_is_made_once(bundle, driver):
    image = build(bundle, driver)
    *_, wheels, of_wheels, own, of_own = image.layers
    site = "usr/local/lib/agentstore/site-packages/greeting"
    assert names(of_wheels) == {f"{site}/__pycache__/__init__.cpython-311.pyc"}
    assert {name.split("/")[-1].split(".")[0] for name in names(of_own)} == {
        "main",
        "tarfile",
        "sitecustomize",
    }
    (bundle / "main.py").write_text(f"print('other {new_id()}')")
    other = build(bundle, driver)
    assert other.layers[-4:-2] == (wheels, of_wheels)
    assert other.layers[-1] not in (of_own, own)
    assert build(bundle, driver) == other


def test_a_compiler_that_hangs_is_killed_and_the_image_is_made_all_the_same(
    bundle, driver, monkeypatch, tmp_path
):
    compiler(monkeypatch, tmp_path, "import time\nwhile True: time.sleep(1)")
    monkeypatch.setattr("sandbox.images.bundle.MAX_SECONDS", 2.0)
    image = build(bundle, driver)
    assert image == build(bundle, None)
    assert (
        engine_client().containers.list(all=True, filters={"label": f"agentstore.stack={proof_stack()}"})
        == []
    )


SERVE = """
import io, tarfile
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if self.path == "/ping": return
        with tarfile.open(fileobj=self.wfile, mode="w|") as tar:
            for name, kind in {members!r}:
                member = tarfile.TarInfo(name)
                member.type, member.linkname, member.size = kind, "/etc/passwd", {size}
                tar.addfile(member, open("/dev/zero", "rb") if member.isreg() else None)
HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"""
GOOD = ("app/__pycache__/main.cpython-311.pyc", tarfile.REGTYPE)


@on_one_driver
@pytest.mark.parametrize(
    ("members", "size"),
    [
        ([GOOD, ("app/main.py", tarfile.REGTYPE)], 1),
        ([GOOD, ("app/__pycache__/nobody.cpython-311.pyc", tarfile.REGTYPE)], 1),
        ([GOOD, ("../app/__pycache__/main.cpython-311.pyc", tarfile.REGTYPE)], 1),
        ([GOOD, GOOD], 1),
        ([(GOOD[0], tarfile.SYMTYPE)], 0),
        ([GOOD], 2_000_000),
    ],
    ids=str,
)
def test_what_is_no_bytecode_of_the_bundle_is_not_taken(bundle, driver, monkeypatch, tmp_path, members, size):
    compiler(monkeypatch, tmp_path, SERVE.format(members=members, size=size))
    monkeypatch.setattr(compiling, "MAX_BYTES", 1_000_000)
    assert build(bundle, driver) == build(bundle, None)
