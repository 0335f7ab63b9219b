"""Takes an uploaded image archive (`docker save` or OCI layout) into the store, rewritten to what is harmless.

Nothing is kept as it came: every layer is rewritten (`layers`), the configuration is reduced to what an agent
needs, tags are dropped, digests are computed anew.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sandbox.images import blobs
from sandbox.images.errors import ImageRefused
from sandbox.images.layers import MAX_BYTES, Budget, read_entries, rewrite_layer
from sandbox.images.reading import BROKEN, open_tar
from sandbox.images.records import BuiltImage, record_image
from sandbox.images.store import image_config, our_architecture, put_image, put_layer
from sandbox.images.tree import Tree
from sandbox.models import Image
from sandbox.spec import MIB

MAX_LAYERS = 64
MAX_ARCHIVE_BYTES = 1024 * MIB
# What every sandbox covers with mounts of its own.
_MOUNTS = ("/proc", "/sys", "/dev", "/run/agentstore")
_MAX_MEMBERS = 1000
_MAX_JSON = 1 * MIB
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


def load_archive(path: Path) -> BuiltImage:
    """The image in an archive file (tar or tar.gz), stored. Raises ImageRefused."""
    if Path(path).stat().st_size > MAX_ARCHIVE_BYTES:
        raise ImageRefused(f"The archive is larger than {MAX_ARCHIVE_BYTES // MIB} MiB.", code="too_large")
    with _plain(Path(path)) as file, contextlib.ExitStack() as closing:
        try:
            archive = closing.enter_context(open_tar(file, limit=MAX_BYTES, too_large=_unpacks_too_large))
            members = _index(archive)
            config, names = _described(archive, members)
            command, env, workdir = _settings(config)
            layers = [_content(archive, _member(members, name)) for name in names]
        except (*BROKEN, KeyError, TypeError, AttributeError, IndexError) as broken:
            raise ImageRefused(
                "The archive's description is not valid.", code="malformed_archive"
            ) from broken
        return _store(layers, command, env, workdir)


@contextlib.contextmanager
def _plain(path: Path) -> Iterator[IO[bytes]]:
    """The archive without gzip around it: its parts are read in another order than they lie in."""
    with path.open("rb") as file, tempfile.TemporaryFile(dir=blobs.scratch_dir()) as plain:
        if file.read(2) != b"\x1f\x8b":
            file.seek(0)
            yield file
            return
        file.seek(0)
        size = 0
        with gzip.GzipFile(fileobj=file) as unzipped:
            try:
                while piece := unzipped.read(MIB):
                    size += plain.write(piece)
                    if size > MAX_BYTES:
                        raise _unpacks_too_large()
            except BROKEN as broken:
                raise ImageRefused("The archive's gzip is broken.", code="malformed_archive") from broken
        plain.seek(0)
        yield plain


def _unpacks_too_large() -> ImageRefused:
    return ImageRefused(f"The archive unpacks to more than {MAX_BYTES // MIB} MiB.", code="too_large")


def _index(archive: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """The archive's plain files by name. Links are looked up by nobody."""
    found: dict[str, tarfile.TarInfo] = {}
    for count, member in enumerate(archive):
        if count >= _MAX_MEMBERS:
            raise ImageRefused("The archive has too many entries.", code="too_many_files")
        if member.isreg() and not member.issparse():
            found[member.name.removeprefix("./")] = member
    return found


def _described(
    archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo]
) -> tuple[dict[str, Any], list[str]]:
    """The image's configuration and its layers' names, from either format. Raises ImageRefused."""

    def read(name: str) -> Any:
        member = members.get(name)
        if member is None or member.size > _MAX_JSON:
            raise ImageRefused(f"The archive lacks {name!r:.80}.", code="malformed_archive")
        try:
            return json.load(_content(archive, member))
        except (ValueError, RecursionError) as broken:
            raise ImageRefused(f"{name!r:.80} is not JSON.", code="malformed_archive") from broken

    if "manifest.json" in members:
        (entry,) = _only(read("manifest.json"))
        return read(entry["Config"]), _named(entry["Layers"])
    entry = _only(read("index.json")["manifests"])[0]
    manifest = read(_blob(entry["digest"]))
    if entry.get("mediaType") not in _MANIFESTS or "layers" not in manifest:
        raise ImageRefused("The archive holds no plain image.", code="malformed_archive")
    return read(_blob(manifest["config"]["digest"])), _named(
        [_blob(la["digest"]) for la in manifest["layers"]]
    )


def _only(entries: Any) -> list[Any]:
    if not isinstance(entries, list) or len(entries) != 1:
        raise ImageRefused("The archive has to hold exactly one image.", code="malformed_archive")
    return entries


def _named(layers: Any) -> list[str]:
    if not isinstance(layers, list) or not all(isinstance(name, str) for name in layers):
        raise ImageRefused("The archive names no layers.", code="malformed_archive")
    if len(layers) > MAX_LAYERS:
        raise ImageRefused(
            f"The image has {len(layers)} layers, more than {MAX_LAYERS}.", code="too_many_layers",
            hint="Squash it into one.",
        )  # fmt: skip
    return layers


def _blob(digest: str) -> str:
    kind, _, value = digest.partition(":")
    return f"blobs/{kind}/{value}"


def _settings(config: dict[str, Any]) -> tuple[list[str], list[str], str]:
    """Command, environment and working directory. Raises ImageRefused."""
    settings = config.get("config") or {}
    command = [*(settings.get("Entrypoint") or []), *(settings.get("Cmd") or [])]
    if not command or not all(isinstance(word, str) for word in command):
        raise ImageRefused("The image names no command to run.", code="no_command", hint="Give it a CMD.")
    ours = our_architecture()
    if config.get("os") != "linux" or config.get("architecture") != ours:
        raise ImageRefused(
            f"The image is for {config.get('os')}/{config.get('architecture')}, not linux/{ours}.",
            code="wrong_platform",
        )  # fmt: skip
    env = [v for v in settings.get("Env") or [] if isinstance(v, str) and "=" in v]
    return command, env, _workdir(settings.get("WorkingDir") or "/")


def _workdir(given: Any) -> str:
    """A directory that can be gone to in every sandbox. Raises ImageRefused."""
    path = PurePosixPath(given) if isinstance(given, str) else PurePosixPath()
    if not path.is_absolute() or ".." in path.parts or any(path.is_relative_to(place) for place in _MOUNTS):
        raise ImageRefused(
            f"The image's working directory can't be {given!r:.80}.", code="unsafe_setting",
            hint="Give it an absolute WORKDIR of its own, such as /app.",
        )  # fmt: skip
    return str(path)


def _member(members: dict[str, tarfile.TarInfo], name: str) -> tarfile.TarInfo:
    if name not in members:
        raise ImageRefused(f"The archive lacks the layer {name!r:.80}.", code="malformed_archive")
    return members[name]


def _store(layers: list[IO[bytes]], command: list[str], env: list[str], workdir: str) -> BuiltImage:
    """Rewrite the layers into the store and describe them anew. Raises ImageRefused."""
    budget, tree = Budget(), Tree()
    # All are rewritten before any is stored: what is refused leaves nothing behind.
    with contextlib.ExitStack() as scratch:
        rewritten = []
        for number, content in enumerate(layers):
            place = scratch.enter_context(tempfile.TemporaryFile(dir=blobs.scratch_dir()))
            rewrite_layer(content, place, budget=budget)
            place.seek(0)
            with tarfile.TarFile(fileobj=place) as layer:
                # An image whose layers don't fit on one another could be unpacked by nobody.
                tree.add_layer(str(number), (entry for entry, _ in read_entries(layer)))
            place.seek(0)
            rewritten.append(place)
        stored = [put_layer(place).diff_id for place in rewritten]
    digest = hashlib.sha256(json.dumps([command, env, workdir, stored]).encode()).hexdigest()
    labels = {"agentstore.source": Image.Source.ARCHIVE.value, "agentstore.digest": digest}
    image = put_image(image_config(layers=stored, command=command, env=env, workdir=workdir, labels=labels))
    facts = {"layers": len(stored), "command": command}
    return record_image(image=image, source=Image.Source.ARCHIVE, digest=digest, facts=facts)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    if content is None:
        raise ImageRefused("The archive is not valid.", code="malformed_archive")
    return content
