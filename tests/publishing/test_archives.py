"""Hostile archives: each is refused with its own code, and nothing is written outside the target."""

from __future__ import annotations

import contextlib
import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketplace.publishing.archives import Limits, unpack
from marketplace.publishing.errors import BundleRefused
from tests.bundles import tar_member, tar_of, zip_of

LIMITS = Limits(unpacked_bytes=32 * 2**20, files=50)


def unpacked(content: bytes, tmp_path: Path, limits: Limits = LIMITS):
    archive, into = tmp_path / "archive", tmp_path / "into"
    archive.write_bytes(content)
    into.mkdir(exist_ok=True)
    return unpack(archive, into, limits)


def refused(content: bytes, tmp_path: Path, limits: Limits = LIMITS) -> str:
    with pytest.raises(BundleRefused) as error:
        unpacked(content, tmp_path, limits)
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "into"}, "something escaped"
    return error.value.code


def test_a_single_top_directory_is_the_root(tmp_path):
    found = unpacked(zip_of({"scout-main/agent.toml": "x", "scout-main/src/main.py": "y"}), tmp_path)
    assert (found.root / "src/main.py").read_text() == "y"
    assert (found.files, found.size) == (2, 2)


def test_modes_other_than_executable_are_dropped(tmp_path):
    info = zipfile.ZipInfo("run.sh")
    info.external_attr = 0o104777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, "#!/bin/sh")
        archive.writestr("a.txt", "a")
    found = unpacked(buffer.getvalue(), tmp_path)
    assert (found.root / "run.sh").stat().st_mode & 0o7777 in (0o755, 0o750, 0o700)


@pytest.mark.parametrize(
    "name", ["../escaped", "a/../../escaped", "/etc/escaped", "a\\..\\escaped", "C:escaped", "line\nbreak"]
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_paths_that_leave_the_directory(name, kind, tmp_path):
    content = zip_of({name: "x"}) if kind == "zip" else tar_of((tar_member(name), b"x"))
    assert refused(content, tmp_path) == "unsafe_path"


@pytest.mark.parametrize(
    ("type", "code"),
    [
        (tarfile.SYMTYPE, "unsafe_link"),
        (tarfile.LNKTYPE, "unsafe_link"),
        (tarfile.CHRTYPE, "special_file"),
        (tarfile.BLKTYPE, "special_file"),
        (tarfile.FIFOTYPE, "special_file"),
    ],
)
def test_only_plain_files_leave_a_tar(type, code, tmp_path):
    assert refused(tar_of((tar_member("thing", type=type, link="/etc/passwd"), b"")), tmp_path) == code


def test_a_link_in_a_zip(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert refused(buffer.getvalue(), tmp_path) == "unsafe_link"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_compression_bomb_stops_at_the_ratio(kind, tmp_path):
    zeros = b"\0" * (24 * 2**20)
    content = zip_of({"bomb": zeros}) if kind == "zip" else tar_of((tar_member("bomb"), zeros))
    assert len(content) < 200_000
    assert refused(content, tmp_path) == "unpacks_too_large"


def test_what_unpacks_to_more_than_the_limit(tmp_path):
    limits = Limits(unpacked_bytes=10_000, files=10)
    assert refused(zip_of({"a": b"x" * 9_000, "b": b"y" * 9_000}), tmp_path, limits) == "unpacks_too_large"
    written = sum(path.stat().st_size for path in (tmp_path / "into").rglob("*") if path.is_file())
    assert written <= 10_000


def test_a_header_that_lies_about_its_size_is_not_believed(tmp_path):
    content = bytearray(zip_of({"a": b"x" * 50_000}))
    at = content.index(b"PK\1\2")
    content[at + 24 : at + 28] = struct.pack("<L", 10)
    limits = Limits(unpacked_bytes=10_000, files=10)
    assert refused(bytes(content), tmp_path, limits) in ("unpacks_too_large", "malformed_archive")


def test_an_extended_header_of_many_megabytes_is_not_read(tmp_path):
    head = tar_member("pax", type=tarfile.XHDTYPE)
    content = tar_of((head, b"\0" * (8 * 2**20)), (tar_member("a"), b"x"))
    assert refused(content, tmp_path) == "malformed_archive"


def test_too_many_files(tmp_path):
    many = {f"f{number}": "" for number in range(LIMITS.files + 1)}
    assert refused(zip_of(many), tmp_path) == "too_many_files"


def test_too_many_files_of_a_tar(tmp_path):
    members = [(tar_member(f"f{number}"), b"") for number in range(LIMITS.files + 1)]
    assert refused(tar_of(*members), tmp_path) == "too_many_files"


def test_the_same_path_twice(tmp_path):
    content = tar_of((tar_member("agent.toml"), b"good"), (tar_member("./agent.toml"), b"evil"))
    assert refused(content, tmp_path) == "duplicate_path"


def test_a_file_where_a_directory_is(tmp_path):
    assert (
        refused(tar_of((tar_member("a"), b"x"), (tar_member("a/b"), b"y")), tmp_path) == "malformed_archive"
    )


@pytest.mark.parametrize(
    "content",
    [b"hello", b"PK\3\4 not really", b"\x1f\x8b\x08 not really", gzip.compress(b"not a tar")],
    ids=["words", "false zip", "false gzip", "gzip of words"],
)
def test_what_is_no_archive(content, tmp_path):
    assert refused(content, tmp_path) in ("unknown_format", "malformed_archive", "empty_bundle")


def test_a_cut_off_archive(tmp_path):
    whole = tar_of((tar_member("a"), bytes(range(256)) * 400))
    assert refused(whole[: len(whole) // 2], tmp_path) == "malformed_archive"


NAMES = st.text(alphabet="ab./\\\0é:", min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, st.binary(max_size=20), min_size=1, max_size=5))
def test_nothing_is_ever_written_outside(tmp_path_factory, files):
    directory = tmp_path_factory.mktemp("case")
    members = [(tar_member(name), content) for name, content in files.items()]
    with contextlib.suppress(BundleRefused):
        unpacked(tar_of(*members), directory)
    assert {path.name for path in directory.iterdir()} == {"archive", "into"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_archive_is_refused_or_read_never_anything_else(tmp_path_factory, content, at, byte):
    directory = tmp_path_factory.mktemp("case")
    damaged = bytearray(zip_of({"agent.toml": content, "src/main.py": b"x"}))
    damaged[at % len(damaged)] = byte
    with contextlib.suppress(BundleRefused):
        unpacked(bytes(damaged), directory)
    assert {path.name for path in directory.iterdir()} == {"archive", "into"}
