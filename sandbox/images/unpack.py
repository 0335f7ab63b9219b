"""Lays an image out in a directory, for a driver that has no engine.

Each layer is unpacked once into numbered files, whose names are ours; an image's directory is then made of hard
links to them. Its shape comes from `tree`, which has resolved every path; here no name is looked up through
another: each directory is opened by itself, below its parent, without following links.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict
from pathlib import Path

from django.conf import settings

from sandbox.driver import ImageMissing
from sandbox.images.layers import read_entries
from sandbox.images.store import StoredImage, get_image, open_layer
from sandbox.images.tree import Directory, Entry, File, Symlink, Tree
from sandbox.spec import MIB

_INDEX = "index.json"
_SHELF = 1000
# A file system says so when one file has too many names, or the two places are not on the same.
_CANT_LINK = (errno.EMLINK, errno.EXDEV, errno.EPERM)


def unpack_image(image_id: str, into: Path) -> StoredImage:
    """Lay the image's files out under `into`; does nothing when that is there, for it is made whole or not.

    As root the files have the layers' owners; as another user they are ours, and readable by us. Files are
    shared with other images: whoever writes to one writes to all. Raises ImageMissing, ImageDamaged,
    ImageRefused, OSError.
    """
    image = get_image(image_id)
    _make_once(into, lambda place: _lay_out(tree_of(image), place))
    return image


def tree_of(image: StoredImage) -> Tree:
    """The image's file system, its layers unpacked into this host's cache. Raises as `unpack_image`."""
    tree = Tree()
    for diff_id in image.layers:
        tree.add_layer(diff_id, _entries(diff_id))
    return tree


def file_path(file: File) -> Path:
    """Where a file's content lies in this host's cache. It is shared: read it only."""
    return _numbered(_layer_dir(file.layer), file.entry.number)


def forget_layers(keep_images: Collection[str]) -> int:
    """Remove the unpacked layers that none of these images has; the number of those that went."""
    wanted = set[str]()
    for image_id in keep_images:
        with contextlib.suppress(ImageMissing):
            wanted |= {_layer_dir(diff_id).name for diff_id in get_image(image_id).layers}
    gone = [place for place in _cache().glob("*") if place.is_dir() and place.name not in wanted]
    for place in gone:
        remove_tree(place)
        place.with_name(f"{place.name}.lock").unlink(missing_ok=True)
    return len(gone)


def remove_tree(place: Path) -> None:
    """Nothing is left of a directory that was laid out here; safe to repeat."""
    with contextlib.suppress(FileNotFoundError):
        # Out of the way first: half a directory must not be taken for a whole one.
        doomed = place.with_name(f"{place.name}.removed-{os.getpid()}")
        place.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _entries(diff_id: str) -> list[Entry]:
    """What a layer holds. Its files' contents are in the cache afterwards."""
    place = _layer_dir(diff_id)
    _make_once(place, lambda partial: _unpack_layer(diff_id, partial))
    return [Entry(**entry) for entry in json.loads((place / _INDEX).read_text())]


def _unpack_layer(diff_id: str, place: Path) -> None:
    entries = list[Entry]()
    with open_layer(diff_id) as stream, tarfile.TarFile(fileobj=stream) as layer:
        for entry, member in read_entries(layer):
            entries.append(entry)
            if entry.kind == "file":
                _write(layer, member, _numbered(place, entry.number), entry)
    (place / _INDEX).write_text(json.dumps([asdict(entry) for entry in entries]))


def _write(layer: tarfile.TarFile, member: tarfile.TarInfo, path: Path, entry: Entry) -> None:
    content = layer.extractfile(member)
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as file:
        if content is not None:
            shutil.copyfileobj(content, file, MIB)
        if os.geteuid() == 0:
            os.fchown(file.fileno(), entry.uid, entry.gid)
            os.fchmod(file.fileno(), entry.mode)
        else:
            os.fchmod(file.fileno(), entry.mode | 0o400)
    os.utime(path, (0, 0))


def _lay_out(tree: Tree, place: Path) -> None:
    directories = list(tree.directories())
    # Thousands of files: what their paths have in common is put together once.
    shelves = _Shelves()
    for path, directory in directories:
        with _opened(place, path) as here:
            for name, node in directory.children.items():
                if isinstance(node, Directory):
                    os.mkdir(name, 0o700, dir_fd=here)
                elif isinstance(node, Symlink):
                    os.symlink(node.target, name, dir_fd=here)
                else:
                    _link(shelves.path_of(node), name, here)
    # Their modes come last and from below: one of them may keep even us from writing.
    for path, directory in reversed(directories):
        with _opened(place, path) as here:
            if os.geteuid() == 0:
                os.fchown(here, directory.uid, directory.gid)
                os.fchmod(here, directory.mode)
            else:
                os.fchmod(here, directory.mode | 0o700)


class _Shelves(dict[tuple[str, int], str]):
    """The directories of files in the cache, by layer and shelf."""

    def __missing__(self, shelf: tuple[str, int]) -> str:
        self[shelf] = found = str(_layer_dir(shelf[0]) / str(shelf[1]))
        return found

    def path_of(self, file: File) -> str:
        """`file_path`, as text."""
        return f"{self[file.layer, file.entry.number // _SHELF]}/{file.entry.number}"


def _link(source: str, name: str, parent: int) -> None:
    try:
        os.link(source, name, dst_dir_fd=parent, follow_symlinks=False)
    except OSError as refused:
        if refused.errno not in _CANT_LINK:
            raise
        target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=parent)
        with open(source, "rb") as content, os.fdopen(target, "wb") as copy:
            shutil.copyfileobj(content, copy, MIB)
            found = os.fstat(content.fileno())
            if os.geteuid() == 0:
                os.fchown(copy.fileno(), found.st_uid, found.st_gid)
            os.fchmod(copy.fileno(), found.st_mode & 0o777)


@contextlib.contextmanager
def _opened(place: Path, path: tuple[str, ...]) -> Iterator[int]:
    """The directory at `path` below `place`, opened name by name; no link is followed on the way."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    descriptor = os.open(place, flags)
    try:
        for name in path:
            below = os.open(name, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _make_once(place: Path, make: Callable[[Path], None]) -> None:
    """Make a directory whole or not at all, whoever else wants it and whoever was killed at it before."""
    place.parent.mkdir(parents=True, exist_ok=True)
    while not place.exists():
        with place.with_name(f"{place.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_still(lock.name, lock.fileno()) or place.exists():
                continue
            partial = place.with_name(f"{place.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                make(partial)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            partial.rename(place)


def _is_still(name: str, descriptor: int) -> bool:
    """Whether the locked file is the one that the name leads to: it may have been removed meanwhile."""
    try:
        return os.path.samestat(os.stat(name), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _numbered(place: Path, number: int) -> Path:
    return place / str(number // _SHELF) / str(number)


def _layer_dir(diff_id: str) -> Path:
    return _cache() / diff_id.removeprefix("sha256:")


def _cache() -> Path:
    return Path(settings.DATA_DIR) / "sandbox" / "layers"
