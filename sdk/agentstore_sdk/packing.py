"""Packs an agent's directory into the bundle that the store takes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

_LEFT_OUT_DIRS = {
    "__pycache__",
    ".git",
    ".venv",
    "venv",
    "node_modules",
    ".mypy_cache",
    ".ruff_cache",
    "tests",
}
_LEFT_OUT_SUFFIXES = {".pyc", ".pyo"}
_LEFT_OUT_FILES = {".env", ".DS_Store", ".gitignore"}
_RUNTIME = ("__init__.py", "server.py", "store.py")
_SDK = Path(__file__).parent
# Always the same date, so that the same files make the same bundle.
_DATE = (2020, 1, 1, 0, 0, 0)


def pack(directory: Path) -> bytes:
    """The bundle of an agent's directory as the bytes of a zip file, the same for the same content.

    The runtime part of this package goes in as `agentstore_sdk/` unless the agent brings its own. Links,
    caches, tests and bundles that were packed before are left out.
    """
    files = dict(_files(directory))
    if not any(name.startswith("agentstore_sdk/") for name in files) and "image.tar" not in files:
        files |= {f"agentstore_sdk/{name}": _SDK / name for name in _RUNTIME}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, path in sorted(files.items()):
            info = zipfile.ZipInfo(name, _DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
            archive.writestr(info, path.read_bytes())
    return packed.getvalue()


def _files(directory: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory)
        if path.is_symlink() or not path.is_file() or _LEFT_OUT_DIRS.intersection(name.parts[:-1]):
            continue
        if path.suffix in _LEFT_OUT_SUFFIXES or path.name in _LEFT_OUT_FILES:
            continue
        if len(name.parts) == 1 and path.suffix == ".zip":
            continue
        yield name.as_posix(), path
