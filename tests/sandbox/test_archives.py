"""What becomes of an uploaded image before anything of it is kept."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import resource
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.images import ImageRefused, archive, blobs, get_image, layers, load_archive
from sandbox.images.layers import Budget, rewrite_layer, safe_path
from tests.sandbox.archives import config, docker_archive, oci_archive, special, tar_of

HELLO = tar_of((special("hello", tarfile.REGTYPE, mode=0o755), b"#!/bin/sh\n"))


def content_of(tar, member):
    content = tar.extractfile(member) if member.isreg() else None
    return content.read() if content else b""


def rewritten(layer: bytes, budget: Budget | None = None):
    out = io.BytesIO()
    digest = rewrite_layer(io.BytesIO(layer), out, budget=budget or Budget())
    assert digest == f"sha256:{hashlib.sha256(out.getvalue()).hexdigest()}"
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        return {member.name: (member, content_of(tar, member)) for member in tar}


def test_files_directories_and_links_go_on():
    found = rewritten(
        tar_of(
            (special("bin", tarfile.DIRTYPE, mode=0o755), b""),
            ("./bin/tool", b"content"),
            (special("bin/same", tarfile.LNKTYPE, linkname="bin/tool"), b""),
            (special("sh", tarfile.SYMTYPE, linkname="/bin/tool"), b""),
            (".wh.gone", b""),
            ("dir/.wh..wh..opq", b""),
        )
    )
    assert found["bin/tool"][1] == b"content"
    assert found["bin/same"][0].linkname == "bin/tool"
    assert found["sh"][0].linkname == "/bin/tool"
    assert {".wh.gone", "dir/.wh..wh..opq"} <= set(found)


def test_setuid_owners_and_times_are_dropped():
    info = special("su", tarfile.REGTYPE, mode=0o6755)
    info.mtime, info.uname, info.pax_headers = 12345, "root", {"SCHILY.xattr.security.capability": "x"}
    ((found, _),) = rewritten(tar_of((info, b"x"))).values()
    assert (found.mode, found.mtime, found.uname, found.pax_headers) == (0o755, 0, "", {})


@pytest.mark.parametrize(
    ("member", "code"),
    [
        (special("../etc/passwd", tarfile.REGTYPE), "unsafe_path"),
        (special("/etc/passwd", tarfile.REGTYPE), "unsafe_path"),
        (special("a/../../b", tarfile.DIRTYPE), "unsafe_path"),
        (special("evil", tarfile.LNKTYPE, linkname="../../etc/shadow"), "unsafe_link"),
        (special("evil", tarfile.LNKTYPE, linkname="/etc/shadow"), "unsafe_link"),
        (special("dev/mem", tarfile.CHRTYPE), "device_file"),
        (special("dev/sda", tarfile.BLKTYPE), "device_file"),
        (special("pipe", tarfile.FIFOTYPE), "device_file"),
        (special(".wh..wh.plnk", tarfile.REGTYPE), "unsafe_path"),
    ],
)
def test_what_reaches_outside_is_refused(member, code):
    with pytest.raises(ImageRefused) as refused:
        rewritten(tar_of((member, b"")))
    assert refused.value.code == code


@given(st.text(max_size=40))
def test_no_name_ever_leaves_the_root(name):
    try:
        path = safe_path(name)
    except ImageRefused:
        return
    assert not path.startswith("/")
    assert ".." not in path.split("/")


@given(st.binary(max_size=2000))
def test_rubbish_is_refused_not_crashed_on(rubbish):
    with contextlib.suppress(ImageRefused):
        rewritten(rubbish)


def test_bombs_stop_at_the_budget():
    bomb = tar_of(("zeros", b"\0" * 5_000_000))
    with pytest.raises(ImageRefused) as refused:
        rewritten(bomb, Budget(size=1_000_000))
    assert refused.value.code == "too_large"
    many = tar_of(*((f"f{n}", b"") for n in range(50)))
    with pytest.raises(ImageRefused) as refused:
        rewritten(many, Budget(files=10))
    assert refused.value.code == "too_many_files"


def header_bomb(size):
    """A tar whose extended header claims to be huge, and is."""
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, size
    return member.tobuf(tarfile.USTAR_FORMAT) + b"\0" * size


@pytest.mark.parametrize(
    "layer",
    [
        gzip.compress(header_bomb(40_000_000)),
        b"".join(header_bomb(0) for _ in range(3000)),
    ],
    ids=["a huge header", "thousands of headers for one file"],
)
def test_headers_that_are_bombs_are_refused(layer):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageRefused) as refused:
        rewritten(layer)
    assert refused.value.code == "malformed_archive"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000, "kilobytes"


def test_a_gzipped_archive_that_unpacks_without_end_is_refused(tmp_path, image_dir, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 1_000_000)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(tar_of(("zeros", b"\0" * 5_000_000))))
    with pytest.raises(ImageRefused) as refused:
        load_archive(tmp_path / "a.tar.gz")
    assert refused.value.code == "too_large"


@pytest.mark.django_db
def test_a_gzipped_archive_is_the_same_image(tmp_path, image_dir):
    plain = docker_archive(tmp_path / "a.tar", [HELLO])
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert load_archive(tmp_path / "a.tar.gz").image_id == load_archive(plain).image_id


def test_layers_that_do_not_fit_on_one_another_are_refused(tmp_path, image_dir):
    with pytest.raises(ImageRefused) as refused:
        load_archive(docker_archive(tmp_path / "a.tar", [HELLO, tar_of(("hello/below", b""))]))
    assert refused.value.code == "malformed_archive"


def test_equal_layers_have_equal_digests_whatever_their_times():
    one, other = special("a", tarfile.REGTYPE), special("a", tarfile.REGTYPE)
    other.mtime = 99999
    digests = [
        rewrite_layer(io.BytesIO(tar_of((m, b"x"))), io.BytesIO(), budget=Budget()) for m in (one, other)
    ]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("described", "code"),
    [
        ({"os": "windows", "architecture": "amd64", "config": {"Cmd": ["x"]}}, "wrong_platform"),
        (config(Cmd=None), "no_command"),
        (config(Cmd=[1]), "no_command"),
        (config(WorkingDir="app"), "unsafe_setting"),
        (config(WorkingDir="/app/../proc"), "unsafe_setting"),
        (config(WorkingDir="/proc/self"), "unsafe_setting"),
        (config(WorkingDir="/run/agentstore/bin"), "unsafe_setting"),
        (config(WorkingDir=["/"]), "unsafe_setting"),
        ([], "malformed_archive"),
        ({"config": "text"}, "malformed_archive"),
    ],
)
def test_descriptions_that_make_no_image_are_refused(tmp_path, image_dir, described, code):
    with pytest.raises(ImageRefused) as refused:
        load_archive(docker_archive(tmp_path / "a.tar", [HELLO], described=described))
    assert refused.value.code == code


def test_thousands_of_layers_several_images_and_no_archive_are_refused(tmp_path, image_dir, monkeypatch):
    with pytest.raises(ImageRefused) as refused:
        load_archive(docker_archive(tmp_path / "a.tar", [HELLO] * (archive.MAX_LAYERS + 1)))
    assert refused.value.code == "too_many_layers"
    for content in (b"", b"no tar", tar_of(("manifest.json", b"[{}, {}]")), tar_of(("x", b""))):
        (tmp_path / "b.tar").write_bytes(content)
        with pytest.raises(ImageRefused) as refused:
            load_archive(tmp_path / "b.tar")
        assert refused.value.code == "malformed_archive"
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", 10)
    with pytest.raises(ImageRefused) as refused:
        load_archive(docker_archive(tmp_path / "a.tar", [HELLO]))
    assert refused.value.code == "too_large"
    assert layers.MAX_BYTES > archive.MAX_ARCHIVE_BYTES


@pytest.mark.django_db
def test_hostile_settings_do_not_reach_the_store(tmp_path, image_dir):
    described = config(
        User="root", Volumes={"/": {}}, ExposedPorts={"22/tcp": {}}, Labels={"agentstore.source": "base"},
        OnBuild=["RUN x"], Healthcheck={"Test": ["CMD", "x"]}, Entrypoint=["/hello"], Cmd=["world"],
        Shell=["/evil"], StopSignal="SIGTERM",
    )  # fmt: skip
    image = load_archive(
        docker_archive(tmp_path / "a.tar", [HELLO], described=described, tags=["agentstore/base:latest"])
    )
    stored = json.loads(blobs.blob_path("images", image.image_id[7:]).read_bytes())
    assert set(stored["config"]) == {"Cmd", "Env", "Labels", "WorkingDir"}
    assert tuple(stored["config"]["Cmd"]) == image.command == ("/hello", "world")
    assert get_image(image.image_id).labels["agentstore.source"] == "archive"


@pytest.mark.django_db
def test_both_formats_of_the_same_layers_are_one_image(tmp_path, image_dir):
    one = load_archive(docker_archive(tmp_path / "docker.tar", [HELLO, HELLO]))
    other = load_archive(oci_archive(tmp_path / "oci.tar", [HELLO, HELLO]))
    assert one.image_id == other.image_id


@pytest.mark.django_db
def test_what_is_refused_leaves_nothing_in_the_store(tmp_path, image_dir):
    with pytest.raises(ImageRefused):
        load_archive(
            docker_archive(tmp_path / "a.tar", [HELLO, tar_of((special("d", tarfile.CHRTYPE), b""))])
        )
    assert [*blobs.list_blobs("layers"), *blobs.list_blobs("images")] == []
