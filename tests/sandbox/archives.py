"""Makes image archives and wheels, good ones and hostile ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
import zipfile
from pathlib import Path

MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


def tar_of(*members) -> bytes:
    """A tar of (name or TarInfo, content) pairs."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member, content in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def special(name, kind, *, linkname="", mode=0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, linkname, mode
    return info


def config(**fields) -> dict[str, object]:
    settings = {"Cmd": ["/hello"], "Env": ["A=b"], **fields}
    return {"os": "linux", "architecture": MACHINE, "config": settings}


def docker_archive(path: Path, layers: list[bytes], *, described=None, tags=None, **extra) -> Path:
    described = described if described is not None else config()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    entry = {"Config": "config.json", "RepoTags": tags, "Layers": names, **extra}
    members = [
        ("manifest.json", json.dumps([entry]).encode()),
        ("config.json", json.dumps(described).encode()),
    ]
    path.write_bytes(tar_of(*members, *zip(names, layers, strict=True)))
    return path


def oci_archive(path: Path, layers: list[bytes]) -> Path:
    blobs = {}

    def put(content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"digest": f"sha256:{digest}", "size": len(content)}

    manifest = {
        "config": put(json.dumps(config()).encode()),
        "layers": [put(gzip.compress(layer)) for layer in layers],
    }
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", **put(json.dumps(manifest).encode())}
    index = ("index.json", json.dumps({"manifests": [entry]}).encode())
    path.write_bytes(tar_of(index, *blobs.items()))
    return path


def wheel(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
