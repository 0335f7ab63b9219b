"""Looks for credentials that were packed by accident. Finds the usual forms, proves no absence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_MAX_FILE_BYTES = 1024 * 1024
_MAX_FINDINGS = 10
# Forms that their issuers document as scannable, each with what people call it.
_PATTERNS = {
    "a private key": re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "an AWS access key": re.compile(rb"\bAKIA[0-9A-Z]{16}\b"),
    "a live Stripe key": re.compile(rb"\b[sr]k_live_[0-9A-Za-z]{16,}"),
    "a GitHub token": re.compile(rb"\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{50,})"),
    "a Slack token": re.compile(rb"\bxox[abprs]-[0-9A-Za-z-]{20,}"),
    "a Google API key": re.compile(rb"\bAIza[0-9A-Za-z_-]{35}\b"),
}
_FILES = {".env", "id_rsa", "id_ed25519", ".netrc", ".pypirc"}


def find_secrets(root: Path) -> list[str]:
    """What was found, in words, at most ten; the secret itself is never repeated."""
    found = list[str]()
    for finding in _findings(root):
        found.append(finding)
        if len(found) == _MAX_FINDINGS:
            break
    return found


def _findings(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(root)
        if path.name in _FILES:
            yield f"{name} is a file that usually holds credentials"
            continue
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES)
        for what, pattern in _PATTERNS.items():
            if match := pattern.search(content):
                line = content.count(b"\n", 0, match.start()) + 1
                yield f"{name}, line {line}: {what}"
