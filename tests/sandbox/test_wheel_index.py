"""Pinned requirements that are not vendored: refused, or fetched from the operator's index and nowhere else."""

from __future__ import annotations

import functools
import hashlib
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sandbox.images import ImageRefused, build_source, get_image, wheel_index
from sandbox.images.inventory import find_packages
from tests.sandbox.archives import tar_of, wheel

pytestmark = pytest.mark.django_db
METADATA = {
    "greeting-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
    "greeting-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
OTHER = "0" * 64


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        """Says nothing."""


@pytest.fixture
def index(tmp_path, settings):
    """A simple index of one wheel and one source archive; gives the wheel's hash."""
    root = tmp_path / "index" / "greeting"
    root.mkdir(parents=True)
    made = wheel(root / "greeting-1.0-py3-none-any.whl", {"greeting.py": b"x = 1", **METADATA})
    (root / "greeting-2.0.tar.gz").write_bytes(tar_of(("greeting-2.0/setup.py", b"raise SystemExit('ran')")))
    links = "".join(f'<a href="{path.name}">{path.name}</a>' for path in root.iterdir())
    (root / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
    handler = functools.partial(Quiet, directory=str(tmp_path / "index"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.SANDBOX_WHEEL_INDEX = f"http://127.0.0.1:{server.server_port}/"
    yield hashlib.sha256(made.read_bytes()).hexdigest()
    server.shutdown()
    server.server_close()


def build(tmp_path, requirements, **files):
    bundle = tmp_path / "bundle"
    bundle.mkdir(exist_ok=True)
    (bundle / "main.py").write_text("")
    (bundle / "requirements.txt").write_text(requirements)
    return get_image(build_source(bundle_dir=bundle, runtime="python", command="python3 main.py").image_id)


def test_a_pinned_wheel_is_fetched_and_is_as_if_it_were_vendored(tmp_path, index, settings):
    image = build(tmp_path, f"# ours\ngreeting==1.0 \\\n    --hash=sha256:{index}  # why\n")
    assert ("pypi", "greeting") in {(package.kind, package.name) for package in find_packages(image)}
    settings.SANDBOX_WHEEL_INDEX = ""
    (tmp_path / "bundle" / "wheels").mkdir()
    made = tmp_path / "index" / "greeting" / "greeting-1.0-py3-none-any.whl"
    (tmp_path / "bundle" / "wheels" / made.name).write_bytes(made.read_bytes())
    assert build(tmp_path, f"# ours\ngreeting==1.0 \\\n    --hash=sha256:{index}  # why\n") == image


def test_what_is_vendored_needs_no_pin_and_no_index(tmp_path):
    (tmp_path / "bundle" / "wheels").mkdir(parents=True)
    wheel(tmp_path / "bundle" / "wheels" / "greeting-1.0-py3-none-any.whl", METADATA)
    assert build(tmp_path, "greeting>=1\nelsewhere==9; sys_platform == 'win32'\n")


def test_without_an_index_nothing_is_fetched(tmp_path):
    with pytest.raises(ImageRefused) as refused:
        build(tmp_path, f"greeting==1.0 --hash=sha256:{OTHER}")
    assert refused.value.code == "wheels_missing"
    assert "pip download" in refused.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "greeting", "greeting==1.0", "greeting>=1.0 --hash=sha256:" + OTHER, "greeting==1.* --hash=sha256:" + OTHER,
        "greeting==1.0 --hash=md5:" + OTHER, "greeting @ http://127.0.0.1/x.whl --hash=sha256:" + OTHER,
        "--index-url http://127.0.0.1/", "-e .", "-r other.txt", "./local.whl",
    ],
)  # fmt: skip
def test_what_is_not_pinned_by_hash_is_refused(tmp_path, index, line):
    with pytest.raises(ImageRefused) as refused:
        build(tmp_path, line)
    assert refused.value.code == "unpinned"


def test_a_wrong_hash_and_a_source_archive_are_refused_and_nothing_runs(tmp_path, index):
    archive = tmp_path / "index" / "greeting" / "greeting-2.0.tar.gz"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    for line in (f"greeting==1.0 --hash=sha256:{OTHER}", f"greeting==2.0 --hash=sha256:{digest}"):
        with pytest.raises(ImageRefused) as refused:
            build(tmp_path, line)
        assert refused.value.code == "wheels_missing"
        assert "ran" not in refused.value.message


def test_too_much_is_stopped(tmp_path, index, monkeypatch):
    monkeypatch.setattr("sandbox.images.bundle.MAX_BYTES", 100)
    with pytest.raises(ImageRefused) as refused:
        build(tmp_path, f"greeting==1.0 --hash=sha256:{index}")
    assert refused.value.code == "too_large"


def test_too_many_lines_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(wheel_index, "MAX_LINES", 1)
    with pytest.raises(ImageRefused):
        build(tmp_path, "a==1\nb==1\n")
