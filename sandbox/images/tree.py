"""What an image's file system is once its layers lie on one another (OCI image specification, “layer.md”).

Pure: entries in, a tree out. Every path is resolved in the tree itself, as the image's own programs would see it,
so a link that an earlier layer made can lead a later one's file elsewhere in the image and never out of it. What
is then written to a disk has directories only above every file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sandbox.images.errors import ImageRefused

MAX_NODES = 200_000
MAX_DEPTH = 128
_MAX_HOPS = 40
_HIDES, _OPAQUE = ".wh.", ".wh..wh..opq"

Kind = Literal["file", "directory", "symlink", "hardlink"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a layer. `name` is relative and has no `..` (`layers.safe_path`); `number` is its place."""

    kind: Kind
    name: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str = ""
    number: int = 0


@dataclass(slots=True)
class File:
    """A file's content: the entry `number` of `layer`. Hard links share one object."""

    layer: str
    entry: Entry


@dataclass(slots=True)
class Symlink:
    """A symbolic link, never followed outside the image."""

    target: str


@dataclass(slots=True)
class Directory:
    """A directory and what lies in it."""

    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    children: dict[str, Node] = field(default_factory=dict)


Node = File | Symlink | Directory


class Tree:
    """The tree of an image, built from the lowest layer up."""

    def __init__(self) -> None:
        self.root = Directory()
        self._left = MAX_NODES

    def add_layer(self, layer: str, entries: Iterable[Entry]) -> None:
        """Lay one more layer on top. Raises ImageRefused for what no file system can be."""
        own = list(entries)
        # A layer hides what is below it, wherever in the layer that is said.
        for entry in own:
            self._hide(entry)
        for entry in own:
            *_, last = _parts(entry.name) or [""]
            if last and not last.startswith(_HIDES):
                self._put(layer, entry)

    def directories(self) -> Iterator[tuple[tuple[str, ...], Directory]]:
        """Every directory with its path, the root's being `()`, and before those that lie in it."""
        waiting: list[tuple[tuple[str, ...], Directory]] = [((), self.root)]
        while waiting:
            path, directory = waiting.pop()
            yield path, directory
            for name, node in directory.children.items():
                if isinstance(node, Directory):
                    waiting.append(((*path, name), node))

    def files(self) -> Iterator[tuple[str, File]]:
        """Every file with its path."""
        for path, directory in self.directories():
            for name, node in directory.children.items():
                if isinstance(node, File):
                    yield "/".join((*path, name)), node

    def find(self, name: str) -> Node | None:
        """What a path leads to, links followed; None when it leads nowhere."""
        parts = _parts(name)
        if not parts:
            return self.root
        parent = self._directory(parts[:-1], make=False)
        node = parent.children.get(parts[-1]) if parent else None
        if isinstance(node, Symlink):
            return self._directory(parts, make=False)
        return node

    def _hide(self, entry: Entry) -> None:
        *above, last = _parts(entry.name) or [""]
        if not last.startswith(_HIDES):
            return
        parent = self._directory(above, make=False)
        if parent is None:
            return
        if last == _OPAQUE:
            parent.children.clear()
        else:
            parent.children.pop(last.removeprefix(_HIDES), None)

    def _put(self, layer: str, entry: Entry) -> None:
        *above, last = _parts(entry.name)
        if any(part.startswith(_HIDES) for part in above):
            raise _impossible(entry.name)
        parent = self._directory(above, make=True)
        if parent is None:
            raise _impossible(entry.name)
        there = parent.children.get(last)
        if entry.kind == "directory" and isinstance(there, Directory):
            there.mode, there.uid, there.gid = entry.mode, entry.uid, entry.gid
            return
        node: Node
        if entry.kind == "directory":
            node = Directory(entry.mode, entry.uid, entry.gid)
        elif entry.kind == "symlink":
            node = Symlink(entry.target)
        elif entry.kind == "hardlink":
            node = self._linked(entry)
        else:
            node = File(layer, entry)
        self._spend()
        parent.children[last] = node

    def _linked(self, entry: Entry) -> Node:
        above = _parts(entry.target)
        parent = self._directory(above[:-1], make=False)
        node = parent.children.get(above[-1]) if parent and above else None
        if node is None or isinstance(node, Directory):
            raise ImageRefused(
                f"{entry.name!r:.100} is a hard link to what is not there.", code="unsafe_link"
            )
        return node

    def _directory(self, parts: Sequence[str], *, make: bool) -> Directory | None:
        """The directory that a path leads to, links followed inside the tree; None where there is none.

        With `make`, missing ones are made. Raises ImageRefused for a circle of links.
        """
        waiting = list(reversed(parts))
        trail: list[Directory] = [self.root]
        hops = 0
        while waiting:
            name = waiting.pop()
            if name == "..":
                # Above the root is the root, as in a chroot.
                del trail[max(1, len(trail) - 1) :]
                continue
            node = trail[-1].children.get(name)
            if isinstance(node, Symlink):
                hops += 1
                if hops > _MAX_HOPS:
                    raise _impossible("/".join(parts))
                if node.target.startswith("/"):
                    del trail[1:]
                waiting += reversed([part for part in node.target.split("/") if part not in ("", ".")])
                continue
            if node is None and make:
                self._spend()
                node = trail[-1].children[name] = Directory()
            if not isinstance(node, Directory):
                return None
            trail.append(node)
            if len(trail) > MAX_DEPTH:
                raise _impossible("/".join(parts))
        return trail[-1]

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ImageRefused(f"The image has more than {MAX_NODES} files.", code="too_many_files")


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _impossible(name: str) -> ImageRefused:
    return ImageRefused(f"The layers don't fit on one another at {name!r:.100}.", code="malformed_archive")
