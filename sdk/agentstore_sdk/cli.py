"""The command `agentstore`: init, validate, pack."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from agentstore_sdk.manifest import read_manifest
from agentstore_sdk.packing import pack

_SKELETON = Path(__file__).parent / "skeleton"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it did what was asked, 1 when the agent has problems, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="agentstore", description="Write, check and pack shopping agents.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help_text in (
        ("init", "write agent.toml and main.py to start from"),
        ("validate", "check agent.toml by the store's rules"),
        ("pack", "make the bundle to upload"),
    ):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("directory", type=Path, nargs="?", default=Path())
        if name == "pack":
            command.add_argument(
                "-o", "--output", type=Path, help="the file to write (default: SLUG-VERSION.zip)"
            )
    given = parser.parse_args(argv)
    if given.command == "init":
        return _init(given.directory)
    if given.command == "validate":
        return _validate(given.directory)
    return _pack(given.directory, given.output)


def _init(directory: Path) -> int:
    if (directory / "agent.toml").exists():
        return _fail([f"{directory / 'agent.toml'} is there already"])
    directory.mkdir(parents=True, exist_ok=True)
    slug = re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower()).strip("-") or "my-agent"
    manifest = (_SKELETON / "agent.toml").read_text()
    name = slug.replace("-", " ").title()
    (directory / "agent.toml").write_text(manifest.replace("my-agent", slug).replace("My Agent", name))
    if not (directory / "main.py").exists():
        shutil.copy(_SKELETON / "main.py", directory / "main.py")
    print(f"Wrote {directory / 'agent.toml'} and {directory / 'main.py'}.")
    print("Next: edit them, then run “agentstore validate” and “agentstore pack”.")
    return 0


def _validate(directory: Path) -> int:
    manifest, problems = read_manifest(directory)
    if problems:
        return _fail(problems)
    print(f"{manifest['name']} {manifest['version']}: agent.toml is valid.")
    return 0


def _pack(directory: Path, output: Path | None) -> int:
    manifest, problems = read_manifest(directory)
    if problems:
        return _fail(problems)
    target = output or Path(f"{manifest['slug']}-{manifest['version']}.zip")
    content = pack(directory)
    target.write_bytes(content)
    print(f"{target} ({len(content) / 1024:,.0f} KiB). Upload it in your developer workspace.")
    return 0


def _fail(problems: Sequence[str]) -> int:
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1
