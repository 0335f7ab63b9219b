"""Loads an uploaded image archive (`docker save` or OCI layout), after a rewrite that leaves only what is
harmless.

Nothing is handed to the engine as it came: every layer is rewritten (`layers`), the configuration is reduced
to what an agent needs, tags are dropped (a load would overwrite ours), digests are computed anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

from sandbox.engine.client import engine_client, engine_errors
from sandbox.images.errors import ImageRefused
from sandbox.images.layers import Budget, rewrite_layer
from sandbox.images.records import BuiltImage, find_image, record_image
from sandbox.models import Image
from sandbox.spec import MIB

MAX_LAYERS = 64
MAX_ARCHIVE_BYTES = 1024 * MIB
_MAX_MEMBERS = 1000
_MAX_JSON = 1 * MIB
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


def load_archive(path: Path) -> BuiltImage:
    """The image in an archive file. Raises ImageRefused (the developer's) or DriverError (ours)."""
    if Path(path).stat().st_size > MAX_ARCHIVE_BYTES:
        raise ImageRefused(f"The archive is larger than {MAX_ARCHIVE_BYTES // MIB} MiB.", code="too_large")
    try:
        archive = tarfile.open(path)  # noqa: SIM115  (closed below)
    except (tarfile.TarError, OSError, EOFError) as broken:
        raise ImageRefused("This is no image archive.", code="malformed_archive") from broken
    with archive, tempfile.TemporaryDirectory() as scratch:
        try:
            members = _index(archive)
            config, layers = _described(archive, members)
            clean, blobs = _rewrite(archive, members, config, layers, Path(scratch))
        except (tarfile.TarError, EOFError, KeyError, TypeError, AttributeError, IndexError) as broken:
            raise ImageRefused(
                "The archive's description is not valid.", code="malformed_archive"
            ) from broken
        return _load(clean, blobs)


def _index(archive: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """The archive's plain files by name. Links are looked up by nobody."""
    found: dict[str, tarfile.TarInfo] = {}
    for count, member in enumerate(archive):
        if count >= _MAX_MEMBERS:
            raise ImageRefused("The archive has too many entries.", code="too_many_files")
        if member.isreg():
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


def _rewrite(
    archive: tarfile.TarFile,
    members: dict[str, tarfile.TarInfo],
    config: dict[str, Any],
    layers: list[str],
    scratch: Path,
) -> tuple[bytes, list[tuple[str, Path]]]:
    """The new configuration and `(diff id, file)` of each rewritten layer."""
    settings = config.get("config") or {}
    command = [*(settings.get("Entrypoint") or []), *(settings.get("Cmd") or [])]
    if not command or not all(isinstance(word, str) for word in command):
        raise ImageRefused("The image names no command to run.", code="no_command", hint="Give it a CMD.")
    ours = _MACHINES.get(platform.machine(), platform.machine())
    if config.get("os") != "linux" or config.get("architecture") != ours:
        raise ImageRefused(
            f"The image is for {config.get('os')}/{config.get('architecture')}, not linux/{ours}.",
            code="wrong_platform",
        )  # fmt: skip
    budget, blobs = Budget(), []
    for number, name in enumerate(layers):
        if name not in members:
            raise ImageRefused(f"The archive lacks the layer {name!r:.80}.", code="malformed_archive")
        place = scratch / f"{number}.tar"
        with place.open("wb") as target:
            blobs.append((rewrite_layer(_content(archive, members[name]), target, budget=budget), place))
    digest = hashlib.sha256(
        json.dumps([command, settings.get("Env"), settings.get("WorkingDir"), [b[0] for b in blobs]]).encode()
    )
    clean = {
        "architecture": ours,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Cmd": command,
            "Env": [v for v in settings.get("Env") or [] if isinstance(v, str) and "=" in v],
            "WorkingDir": str(settings.get("WorkingDir") or "/"),
            "Labels": {"agentstore.source": "archive", "agentstore.digest": digest.hexdigest()},
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id for diff_id, _ in blobs]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "upload"} for _ in blobs],
    }
    return json.dumps(clean, sort_keys=True).encode(), blobs


def _load(config: bytes, blobs: list[tuple[str, Path]]) -> BuiltImage:
    digest = json.loads(config)["config"]["Labels"]["agentstore.digest"]
    if found := find_image(digest=digest, source=Image.Source.ARCHIVE):
        return found
    name = hashlib.sha256(config).hexdigest()
    # The tag only spares the image from pruning; it is made of the digest and can't be another image's.
    manifest = [
        {
            "Config": f"{name}.json",
            "RepoTags": [f"agentstore/archive:{name[:12]}"],
            "Layers": [f"{diff_id[7:]}.tar" for diff_id, _ in blobs],
        }
    ]
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            _add(tar, f"{name}.json", config)
            _add(tar, "manifest.json", json.dumps(manifest).encode())
            for diff_id, place in dict(blobs).items():
                tar.add(place, arcname=f"{diff_id[7:]}.tar")
        file.seek(0)
        with engine_errors():
            engine_client().images.load(file)
    facts = {"layers": len(blobs), "command": json.loads(config)["config"]["Cmd"]}
    return record_image(image_id=f"sha256:{name}", source=Image.Source.ARCHIVE, digest=digest, facts=facts)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    if content is None:
        raise ImageRefused("The archive is not valid.", code="malformed_archive")
    return content
