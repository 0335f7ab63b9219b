"""Reads files out of an image without unpacking it."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator, Mapping

from sandbox.images.layers import read_entries
from sandbox.images.store import StoredImage, open_layer
from sandbox.images.tree import Tree


def visible_files(
    image: StoredImage, *, wanted: Callable[[str], bool], most_bytes: int
) -> Iterator[tuple[str, bytes]]:
    """`(path, content)` of the files that the image's programs would see, those over `most_bytes` left out."""
    tree = Tree()
    for diff_id in image.layers:
        with open_layer(diff_id) as stream, tarfile.TarFile(fileobj=stream) as layer:
            tree.add_layer(diff_id, [entry for entry, _ in read_entries(layer)])
    places: dict[tuple[str, int], str] = {}
    for path, file in tree.files():
        if wanted(path):
            places.setdefault((file.layer, file.entry.number), path)
    for diff_id in dict.fromkeys(image.layers):
        chosen = {number: path for (layer, number), path in places.items() if layer == diff_id}
        if chosen:
            yield from _read(diff_id, chosen, most_bytes)


def all_files(diff_id: str, *, wanted: Callable[[str], bool], most_bytes: int) -> Iterator[tuple[str, bytes]]:
    """The same of one layer, those included that a later layer hides."""
    with open_layer(diff_id) as stream, tarfile.TarFile(fileobj=stream) as layer:
        chosen = {entry.number: entry.name for entry, _ in read_entries(layer) if wanted(entry.name)}
    yield from _read(diff_id, chosen, most_bytes)


def _read(diff_id: str, chosen: Mapping[int, str], most_bytes: int) -> Iterator[tuple[str, bytes]]:
    """The chosen members that are files, each under the name given for its number."""
    with open_layer(diff_id) as stream, tarfile.TarFile(fileobj=stream) as layer:
        for entry, member in read_entries(layer):
            if entry.kind == "file" and entry.number in chosen and member.size <= most_bytes:
                content = layer.extractfile(member)
                yield chosen[entry.number], content.read() if content else b""
