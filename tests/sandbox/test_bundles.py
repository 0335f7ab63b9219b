"""Source bundles on the base image."""

from __future__ import annotations

import os
import tarfile

import pytest

from sandbox.images import ImageRefused, build_source, get_image, store
from sandbox.images.wheels import read_wheel
from tests.sandbox.archives import wheel

pytestmark = pytest.mark.django_db


def build(directory, **fields):
    return build_source(bundle_dir=directory, **{"runtime": "python", "command": "python3 main.py", **fields})


@pytest.fixture
def bundle(tmp_path):
    (tmp_path / "main.py").write_text("print('hello')")
    return tmp_path


def test_the_same_content_is_the_same_image(bundle):
    one = build(bundle)
    assert one.command == ("python3", "main.py")
    assert build(bundle, command=["python3", "main.py"]).image_id == one.image_id
    (bundle / "main.py").write_text("print('other')")
    assert build(bundle).image_id != one.image_id
    assert get_image(one.image_id).labels["agentstore.source"] == "source"


def test_the_bytecode_of_the_standard_library_is_never_stale(bundle):
    """A layer keeps no times: bytecode that goes by them is compiled anew at every start."""
    unchecked_hash = (0b01).to_bytes(4, "little")
    base = get_image(build(bundle).image_id).layers[0]
    with store.open_layer(base) as file, tarfile.open(fileobj=file) as tar:
        files = {m.name: tar.extractfile(m) for m in tar if m.name.endswith(".pyc")}
        headers = {name: content.read(8) for name, content in files.items() if content}
    assert len(headers) > 300
    assert not {name for name, header in headers.items() if header[4:] != unchecked_hash}


def test_versions_that_differ_in_their_own_code_share_the_rest(bundle):
    (bundle / "wheels").mkdir()
    wheel(bundle / "wheels" / "greeting-1.0-py3-none-any.whl", {"greeting/__init__.py": b"x = 1"})
    one = get_image(build(bundle).image_id)
    (bundle / "main.py").write_text("print('other')")
    other = get_image(build(bundle).image_id)
    assert one.layers[:-1] == other.layers[:-1]
    assert one.layers[-1] != other.layers[-1]


def test_a_dockerfile_is_a_file_like_any_other(bundle):
    (bundle / "Dockerfile").write_text("FROM scratch\nADD http://127.0.0.1/evil /\nCMD evil\n")
    assert build(bundle).command == ("python3", "main.py")


def test_links_and_devices_are_refused(bundle):
    (bundle / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(ImageRefused) as refused:
        build(bundle)
    assert refused.value.code == "unsafe_link"
    (bundle / "passwd").unlink()
    (bundle / "tree").symlink_to("/etc", target_is_directory=True)
    with pytest.raises(ImageRefused) as refused:
        build(bundle)
    assert refused.value.code == "unsafe_link"
    (bundle / "tree").unlink()
    os.mkfifo(bundle / "pipe")
    with pytest.raises(ImageRefused) as refused:
        build(bundle)
    assert refused.value.code == "device_file"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"command": ""}, "no_command"),
        ({"command": []}, "no_command"),
        ({"runtime": "cobol"}, "unsupported_runtime"),
    ],
)
def test_what_cannot_run_is_refused(bundle, fields, code):
    with pytest.raises(ImageRefused) as refused:
        build(bundle, **fields)
    assert refused.value.code == code


def test_too_much_is_refused(bundle, monkeypatch):
    monkeypatch.setattr("sandbox.images.bundle.MAX_BYTES", 10)
    with pytest.raises(ImageRefused) as refused:
        build(bundle)
    assert refused.value.code == "too_large"


def test_wheels_are_unpacked_and_nothing_of_them_runs(bundle):
    (bundle / "wheels").mkdir()
    wheel(
        bundle / "wheels" / "greeting-1.0-py3-none-any.whl",
        {"greeting/__init__.py": b"x = 1", "greeting-1.0.data/scripts/evil": b"#!", "setup.py": b"1/0"},
    )
    assert build(bundle).size > 0


@pytest.mark.parametrize(
    ("name", "files", "code"),
    [
        ("nonsense.whl", {}, "bad_wheel"),
        ("a-1.0-cp27-cp27m-win32.whl", {}, "wrong_platform"),
        ("a-1.0-cp311-cp311-macosx_11_0_arm64.whl", {}, "wrong_platform"),
        ("a-1.0-py3-none-any.whl", {"../../evil.py": b""}, "unsafe_path"),
        ("a-1.0-py3-none-any.whl", {"/evil.py": b""}, "unsafe_path"),
        ("a-1.0-py3-none-any.whl", {"a\\..\\evil.py": b""}, "unsafe_path"),
    ],
)
def test_bad_wheels_are_refused(tmp_path, name, files, code):
    with pytest.raises(ImageRefused) as refused:
        list(read_wheel(wheel(tmp_path / name, files), python="3.11", architecture="x86_64"))
    assert refused.value.code == code


def test_a_wheel_that_fits_gives_its_files(tmp_path):
    files = {"a/b.py": b"1", "a-1.0.data/purelib/c.py": b"2", "a-1.0.data/headers/d.h": b"3"}
    path = wheel(tmp_path / "a-1.0-cp311-cp311-manylinux_2_28_x86_64.whl", files)
    assert dict(read_wheel(path, python="3.11", architecture="x86_64")) == {"a/b.py": b"1", "c.py": b"2"}
