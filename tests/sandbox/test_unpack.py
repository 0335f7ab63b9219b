"""Images laid out in a directory: as an engine would, shared between images, and never a step outside."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import shutil
import tarfile
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sandbox.driver import ImageMissing
from sandbox.images import ImageRefused, store
from sandbox.images.tree import MAX_DEPTH, Entry, Tree
from sandbox.images.unpack import forget_layers, remove_tree, unpack_image
from tests.sandbox.archives import special, tar_of
from tests.sandbox.conftest import SOME_IMAGE


def link(name, target):
    return special(name, tarfile.SYMTYPE, linkname=target), b""


def hard(name, target):
    return special(name, tarfile.LNKTYPE, linkname=target), b""


def directory(name, mode=0o755):
    return special(name, tarfile.DIRTYPE, mode=mode), b""


def image_of(*layers):
    diff_ids = [store.put_layer(io.BytesIO(tar_of(*members))).diff_id for members in layers]
    return store.put_image(
        store.image_config(layers=diff_ids, command=("x",), env=(), workdir="/", labels={})
    ).image_id


@pytest.fixture
def unpacked(db, image_dir, tmp_path):
    """Lays out layers, each a list of members."""

    def lay_out(*layers, into="root"):
        unpack_image(image_of(*layers), tmp_path / into)
        return tmp_path / into

    return lay_out


def test_files_links_and_modes_are_there(unpacked):
    root = unpacked(
        [
            (special("bin/tool", tarfile.REGTYPE, mode=0o6755), b"content"),
            hard("bin/same", "bin/tool"),
            link("sh", "/bin/tool"),
            directory("tmp", 0o1777),
            directory("closed", 0o500),
            ("closed/file", b"x"),
        ]
    )
    assert (root / "bin/tool").read_bytes() == b"content"
    assert (root / "bin/tool").stat().st_mode & 0o7777 == 0o755
    assert (root / "bin/same").samefile(root / "bin/tool")
    assert os.readlink(root / "sh") == "/bin/tool"
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root / "closed/file").read_bytes() == b"x"


def test_a_later_layer_hides_and_replaces(unpacked):
    root = unpacked(
        [("a/one", b"1"), ("a/two", b"2"), ("b/one", b"1"), ("c", b"file"), ("d/deep", b"")],
        [
            (".wh.c", b""),
            ("a/.wh.one", b""),
            ("b/two", b"new"),
            ("b/.wh..wh..opq", b""),
            ("d", b"now a file"),
        ],
        [(".wh.nothing", b""), ("gone/.wh.x", b"")],
    )
    assert sorted(p.relative_to(root).as_posix() for p in root.rglob("*")) == [
        "a",
        "a/two",
        "b",
        "b/two",
        "d",
    ]
    assert (root / "d").read_bytes() == b"now a file"


def test_a_file_below_an_earlier_layers_link_lands_where_the_image_would_look(unpacked, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    root = unpacked(
        [
            link("lib", "usr/lib"),
            link("up", "../../.."),
            link("far", str(outside)),
            directory("usr/lib"),
            link("usr/abs", "/usr/lib"),
        ],
        [("lib/x.so", b"x"), ("usr/abs/w", b"w"), ("up/y", b"y"), ("far/z", b"z")],
    )
    assert (root / "usr/lib/x.so").read_bytes() == b"x"
    assert (root / "usr/lib/w").read_bytes() == b"w"
    assert (root / "y").read_bytes() == b"y"
    assert root.joinpath(*outside.parts[1:], "z").read_bytes() == b"z"
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "layers",
    [
        [[("../evil", b"")]],
        [[("/evil", b"")]],
        [[hard("evil", "../../etc/shadow")]],
        [[link("passwd", "/etc/passwd")], [hard("evil", "passwd/../../etc/shadow")]],
        [[hard("evil", "nowhere")]],
        [[directory("d"), hard("evil", "d")]],
        [[("file", b"")], [("file/below", b"")]],
        [[link("a", "b"), link("b", "a")], [("a/x", b"")]],
        [[(special("null", tarfile.CHRTYPE), b"")]],
        [[("d/" * MAX_DEPTH + "x", b"")]],
        [[("x" * 256, b"")]],
    ],
    ids=[
        "step up", "absolute", "hard link out", "hard link by a link out", "hard link to nothing",
        "hard link to a directory", "file as a directory", "links in a ring", "device", "too deep", "too long",
    ],
)  # fmt: skip
def test_what_no_image_can_be_is_refused_and_leaves_nothing(unpacked, tmp_path, layers):
    with pytest.raises(ImageRefused):
        unpacked(*layers)
    assert not (tmp_path / "root").exists()
    assert not list(tmp_path.glob("*.partial"))


def test_a_bomb_of_directories_is_refused():
    deep = "/".join("d" * (MAX_DEPTH - 2))
    with pytest.raises(ImageRefused) as refused:
        Tree().add_layer("layer", [Entry("file", f"{number}/{deep}/x") for number in range(2_000)])
    assert refused.value.code == "too_many_files"


def test_images_share_the_files_of_equal_layers(unpacked):
    base = [("shared", b"x" * 1000)]
    one, two = unpacked(base, [("own", b"1")], into="one"), unpacked(base, [("own", b"2")], into="two")
    assert (one / "shared").samefile(two / "shared")
    assert not (one / "own").samefile(two / "own")


def test_layers_that_no_image_needs_are_forgotten(unpacked, tmp_path, settings):
    kept = image_of([("base", b"")], [("own", b"1")])
    unpack_image(kept, tmp_path / "kept")
    root = unpacked([("base", b"")], [("own", b"2")])
    assert forget_layers([kept, SOME_IMAGE]) == 1
    assert (root / "own").read_bytes() == b"2", "what was laid out keeps its files"
    remove_tree(root)
    remove_tree(root)
    assert not root.exists()
    assert forget_layers([]) == 2


def test_an_image_that_is_not_there_is_missing(tmp_path, image_dir):
    with pytest.raises(ImageMissing):
        unpack_image(SOME_IMAGE, tmp_path / "root")


def test_many_at_once_and_after_a_kill_make_one_whole_directory(db, image_dir, tmp_path):
    image_id = image_of([(f"f{number}", b"x") for number in range(200)])
    root = tmp_path / "root"
    # As a process that was killed has left it.
    (tmp_path / "root.partial").mkdir()
    (tmp_path / "root.partial" / "half").write_text("")
    failures = []

    def unpack():
        try:
            unpack_image(image_id, root)
        except BaseException as failed:
            failures.append(failed)

    threads = [threading.Thread(target=unpack) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert len(list(root.iterdir())) == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="this is how every other test runs here")
def test_an_ordinary_user_can_unpack_what_belongs_to_others(db, image_dir, settings):
    info = special("secret", tarfile.REGTYPE, mode=0o000)
    info.uid = info.gid = 1234
    place = Path(tempfile.mkdtemp())
    try:
        place.chmod(0o777)
        settings.DATA_DIR = place / "data"
        settings.STORAGES = {
            **settings.STORAGES,
            "images": {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {"location": str(place / "images")},
            },
        }
        image_id = image_of([(info, b"content"), directory("shut", 0o000), ("shut/x", b"")])

        def as_nobody():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            unpack_image(image_id, place / "root")
            assert (place / "root/secret").read_bytes() == b"content"
            assert (place / "root/shut/x").exists()
            remove_tree(place / "root")
            assert not (place / "root").exists()

        child = multiprocessing.get_context("fork").Process(target=as_nobody)
        child.start()
        child.join(30)
        assert child.exitcode == 0
    finally:
        shutil.rmtree(place)


NAMES = st.lists(
    st.sampled_from(["a", "b", "c", "..", ".", "a/b", ".wh.a", ".wh..wh..opq"]), min_size=1, max_size=4
)
TARGETS = st.sampled_from(
    [
        "..",
        "../..",
        "../../..",
        "/",
        "a",
        "b",
        "a/b",
        "/a",
        "../outside",
        "../../outside",
        "a/../../../outside",
        "/OUTSIDE",
    ]
)
MEMBERS = st.tuples(
    NAMES.map("/".join),
    st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]),
    TARGETS,
)


@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(layers=st.lists(st.lists(MEMBERS, max_size=6), min_size=1, max_size=4))
def test_nothing_is_ever_written_outside(db, image_dir, layers):
    with tempfile.TemporaryDirectory() as place:
        outside, root = Path(place) / "outside", Path(place) / "deep" / "root"
        outside.mkdir()
        (outside / "a").write_text("ours")
        (Path(place) / "deep" / "outside").mkdir(parents=True)
        tars = [
            [
                (
                    special(name, kind, linkname=target.replace("/OUTSIDE", str(outside))),
                    b"theirs" * (kind == b"0"),
                )
                for name, kind, target in layer
            ]
            for layer in layers
        ]
        with contextlib.suppress(ImageRefused):
            unpack_image(image_of(*tars), root)
        assert [(p.name, p.read_text()) for p in outside.iterdir()] == [("a", "ours")]
        assert list((Path(place) / "deep" / "outside").iterdir()) == []
        assert {p.name for p in (Path(place) / "deep").iterdir()} <= {"outside", "root", "root.lock"}
        assert {p.name for p in Path(place).iterdir()} == {"outside", "deep"}
        for path in root.rglob("*"):
            assert path.is_symlink() or path.is_file() or path.is_dir()
            assert ".wh." not in path.name
