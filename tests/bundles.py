"""Bundles for tests: the agents under agents/ packed as developers pack them, and hand-made archives."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
AGENTS = ROOT / "agents"
# The SDK is a distribution of its own, which the store does not install.
sys.path.insert(0, str(ROOT / "sdk"))

from agentstore_sdk.packing import pack  # noqa: E402  (needs the path above)

MANIFEST = """\
name = "Bargain Scout"
slug = "bargain-scout"
version = "1.0.0"
tagline = "Finds what is cheaper than it should be."
protocol = "http"
skills = ["chat"]
permissions = ["catalog"]
runtime = "python"
command = ["python3", "main.py"]

[resources]
memory_mb = 64
cpu = 0.5
start_seconds = 10
turn_seconds = 20
"""


def pack_agent(name: str) -> bytes:
    """The bundle of a first-party agent."""
    return pack(AGENTS / name)


def manifest_text(**changes: str) -> str:
    """MANIFEST with lines replaced: `version='"2.0.0"'`; an empty value removes the line; another name adds a
    limit.
    """
    lines = []
    for line in MANIFEST.splitlines():
        key = line.partition(" = ")[0]
        if key not in changes:
            lines.append(line)
        elif changes[key]:
            lines.append(f"{key} = {changes[key]}")
    # [resources] comes last: what has no line yet is a limit that the manifest leaves to its default.
    lines += [f"{key} = {value}" for key, value in changes.items() if value and f"{key} =" not in MANIFEST]
    return "\n".join(lines) + "\n"


def source_bundle(main: str = "print('hello')\n", **changes: str) -> bytes:
    """A source bundle with one program."""
    return zip_of({"agent.toml": manifest_text(**changes), "main.py": main})


def zip_of(files: Mapping[str, str | bytes]) -> bytes:
    """A zip file of these paths and contents, taken as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            archive.writestr(info, content, compress_type=zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar.gz file of these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def tar_member(name: str, *, type: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    """The head of one tar member."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = type, link
    return info
