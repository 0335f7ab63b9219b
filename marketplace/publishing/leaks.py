"""Looks for credentials that were packed by accident. Finds the usual forms, proves no absence.

The forms are detect-secrets', of those of its detectors that know a form: its guesses by entropy and by variable
names refuse honest bundles. Nothing is verified at an issuer. What it does not know, or finds in the code that
looks for it, is added here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import BasePlugin, RegexBasedDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

from sandbox.images.contents import all_files
from sandbox.images.store import StoredImage

_MAX_FILE_BYTES = 1024 * 1024
_MAX_FINDINGS = 10
_FILES = {".env", "id_rsa", "id_ed25519", ".netrc", ".pypirc"}
# Where package managers put what others published, examples and test keys included.
_PACKAGED = re.compile(
    r"(.*/)?(site-packages|dist-packages|node_modules)/.*|(usr/|usr/local/)?lib(64)?/.*|usr/(share|include|s?bin)/.*"
)


class PrivateKeyDetector(RegexBasedDetector):
    """A whole key, not the words that one begins with."""

    secret_type = "Private Key"  # noqa: S105  (what it finds)
    denylist = (re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),)


class GoogleKeyDetector(RegexBasedDetector):
    """Google's API keys."""

    secret_type = "Google API Key"  # noqa: S105  (what it finds)
    denylist = (re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),)


class GitHubFineGrainedTokenDetector(RegexBasedDetector):
    """GitHub's newer personal tokens."""

    secret_type = "GitHub Token"  # noqa: S105  (what it finds)
    denylist = (re.compile(r"\bgithub_pat_[0-9A-Za-z_]{50,}"),)


_DETECTORS: tuple[BasePlugin, ...] = (
    PrivateKeyDetector(), AWSKeyDetector(), StripeDetector(), GitHubTokenDetector(),
    GitHubFineGrainedTokenDetector(), GitLabTokenDetector(), SlackDetector(), GoogleKeyDetector(),
    OpenAIDetector(), PypiTokenDetector(), NpmDetector(), SendGridDetector(), MailchimpDetector(),
    AzureStorageKeyDetector(), SquareOAuthDetector(), DiscordBotTokenDetector(), TelegramBotTokenDetector(),
    TwilioKeyDetector(),
)  # fmt: skip


def find_secrets(root: Path) -> list[str]:
    """What was found in a directory, in words, at most ten; the secret itself is never repeated."""
    return _first(_walk(root))


def find_secrets_in_image(image: StoredImage) -> list[str]:
    """The same of an image: in every layer, since what a later one removes is still in the earlier.

    Directories of package managers are not searched: what lies there was published by others.
    """
    files = (
        file
        for diff_id in image.layers
        for file in all_files(
            diff_id, wanted=lambda path: not _PACKAGED.fullmatch(path), most_bytes=_MAX_FILE_BYTES
        )
    )
    return _first(files)


def _first(files: Iterable[tuple[str, bytes]]) -> list[str]:
    found = list[str]()
    for name, content in files:
        found += _findings(name, content)
        if len(found) >= _MAX_FINDINGS:
            break
    return found[:_MAX_FINDINGS]


def _walk(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                yield path.relative_to(root).as_posix(), file.read(_MAX_FILE_BYTES)


def _findings(name: str, content: bytes) -> Iterator[str]:
    if name.rpartition("/")[2] in _FILES and content.strip():
        yield f"{name} is a file that usually holds credentials"
        return
    text = content.decode(errors="replace")
    for detector in _DETECTORS:
        secret = next(iter(detector.analyze_string(text)), None)
        # Documentation's own example keys say so.
        if secret and "EXAMPLE" not in secret.upper():
            line = text.count("\n", 0, text.find(secret)) + 1
            yield f"{name}, line {line}: {detector.secret_type}"
