"""Images: an OCI configuration and uncompressed layers, content-addressed, known to no container engine.

`image_id` is `sha256:` and the SHA-256 of the configuration's JSON, a layer's `diff_id` that of its tar. Equal
layers are stored once. What is used is remembered in `Layer` rows, so that the collection of garbage spares what
a build is about to refer to.
"""

from __future__ import annotations

import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from agentstore.kit.clock import now
from sandbox.driver import ImageMissing
from sandbox.images import blobs
from sandbox.images.errors import ImageRefused
from sandbox.models import Image, Layer
from sandbox.spec import MIB

LAYERS, CONFIGS, NOTES = "layers", "images", "made"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_EPOCH = "1970-01-01T00:00:00Z"
# Everything else that a configuration can say (User, Volumes, OnBuild, Healthcheck …) is for engines to act on.
_SETTINGS = frozenset({"Cmd", "Env", "WorkingDir", "Labels"})


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer that the store has; `size` in bytes of its tar."""

    diff_id: str
    size: int


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image that the store has. `layers` are diff ids, the lowest first; `size` in bytes of all of them."""

    image_id: str
    layers: tuple[str, ...]
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    workdir: str = "/"
    labels: dict[str, str] = field(default_factory=dict)
    size: int = 0
    architecture: str = ""


def our_architecture() -> str:
    """This machine's, by the name that image configurations use."""
    return MACHINES.get(platform.machine(), platform.machine())


def image_config(
    *,
    layers: Sequence[str],
    command: Sequence[str],
    env: Sequence[str],
    workdir: str,
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """The configuration of an image, the same for the same arguments."""
    return {
        "architecture": our_architecture(),
        "os": "linux",
        "created": _EPOCH,
        "config": {"Cmd": list(command), "Env": list(env), "WorkingDir": workdir, "Labels": dict(labels)},
        "rootfs": {"type": "layers", "diff_ids": list(layers)},
        "history": [{"created": _EPOCH, "created_by": "agentstore"} for _ in layers],
    }


def put_layer(stream: IO[bytes]) -> StoredLayer:
    """Keep an uncompressed tar. Stores the bytes as they are: what is in them is the caller's to check."""
    digest, size = blobs.put_blob(stream, place=LAYERS, before_keeping=_note_use)
    return StoredLayer(f"sha256:{digest}", size)


def put_image(config: Mapping[str, Any]) -> StoredImage:
    """Keep a configuration whose layers the store has (`image_config` makes one).

    Raises ImageMissing when a layer is not there, ImageRefused (`unsafe_setting`) for settings that an engine
    would act on by itself.
    """
    unsafe = set(config["config"]) - _SETTINGS
    if unsafe:
        raise ImageRefused(f"The configuration sets {sorted(unsafe)!r:.200}.", code="unsafe_setting")
    layers = list(config["rootfs"]["diff_ids"])
    note_layers({diff_id: layer_size(diff_id) for diff_id in layers})
    content = json.dumps(config, sort_keys=True, separators=(",", ":")).encode()
    digest, _ = blobs.put_blob(io.BytesIO(content), place=CONFIGS, before_keeping=_note_image)
    return get_image(f"sha256:{digest}")


def get_image(image_id: str) -> StoredImage:
    """The image of that id, all of whose layers are there. Raises ImageMissing, ImageDamaged."""
    config = json.loads(_config_path(image_id).read_bytes())
    settings, layers = config["config"], tuple(config["rootfs"]["diff_ids"])
    return StoredImage(
        image_id=image_id,
        layers=layers,
        command=tuple(settings.get("Cmd") or ()),
        env=tuple(settings.get("Env") or ()),
        workdir=settings.get("WorkingDir") or "/",
        labels=settings.get("Labels") or {},
        size=sum(layer_size(diff_id) for diff_id in layers),
        architecture=config["architecture"],
    )


def layer_path(diff_id: str) -> Path:
    """A local file of the layer's tar, its digest checked. Raises ImageMissing, ImageDamaged."""
    return blobs.blob_path(LAYERS, _hex(diff_id))


def open_layer(diff_id: str) -> IO[bytes]:
    """The layer's tar, its digest checked. Raises ImageMissing, ImageDamaged."""
    return layer_path(diff_id).open("rb")


def layer_size(diff_id: str) -> int:
    """Bytes of the layer's tar. Raises ImageMissing."""
    return blobs.blob_size(LAYERS, _hex(diff_id))


@contextmanager
def docker_archive(
    image_id: str, *, tags: Sequence[str] = (), without: Collection[str] = ()
) -> Iterator[IO[bytes]]:
    """A file that `docker load` takes, gone afterwards; `without` the layers that the engine has already.

    Raises ImageMissing, ImageDamaged.
    """
    image, config = get_image(image_id), _config_path(image_id)
    unique = [diff_id for diff_id in dict.fromkeys(image.layers) if diff_id not in without]
    entry = {
        "Config": f"{_hex(image_id)}.json",
        "RepoTags": list(tags),
        "Layers": [f"{_hex(diff_id)}.tar" for diff_id in image.layers],
    }
    manifest = json.dumps([entry]).encode()
    with tempfile.TemporaryFile(dir=blobs.scratch_dir()) as file:
        with tarfile.TarFile(fileobj=file, mode="w", copybufsize=MIB) as tar:
            tar.add(config, arcname=f"{_hex(image_id)}.json")
            member = tarfile.TarInfo("manifest.json")
            member.size = len(manifest)
            tar.addfile(member, io.BytesIO(manifest))
            for diff_id in unique:
                tar.add(layer_path(diff_id), arcname=f"{_hex(diff_id)}.tar")
        file.seek(0)
        yield file


def note_layers(sizes: Mapping[str, int]) -> None:
    """Remember that these layers are in use now, so that they are not collected while a build goes on."""
    _upsert(Layer(diff_id=diff_id, size=size, used_at=now()) for diff_id, size in sizes.items())


def _note_use(digest: str, size: int) -> None:
    _upsert([Layer(diff_id=f"sha256:{digest}", size=size, used_at=now())])


def _note_image(digest: str, size: int) -> None:
    """Where there was this image before: it is wanted again."""
    Image.objects.filter(pk=f"sha256:{digest}").update(used_at=now())


def _upsert(rows: Iterable[Layer]) -> None:
    # In one order, so that two builds of the same layers don't wait for each other crosswise.
    Layer.objects.bulk_create(
        sorted(rows, key=lambda row: row.diff_id),
        update_conflicts=True, unique_fields=["diff_id"], update_fields=["used_at"],
    )  # fmt: skip


def _config_path(image_id: str) -> Path:
    try:
        return blobs.blob_path(CONFIGS, _hex(image_id))
    except blobs.ImageDamaged:
        raise
    except ImageMissing as missing:
        raise ImageMissing(
            "The store does not have this image.", hint="Publish the version again.", image_id=image_id
        ) from missing


def _hex(digest: str) -> str:
    kind, _, value = digest.partition(":")
    if kind != "sha256" or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ImageMissing(f"{digest!r:.80} is no digest.")
    return value
