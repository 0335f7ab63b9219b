"""The registry of checks. A check's help text doubles as the explanation on the verdict page."""

from __future__ import annotations

from dataclasses import dataclass

from marketplace.publishing.errors import UnknownCheck


@dataclass(frozen=True, slots=True)
class CheckKind:
    """A named test that every submission must pass.

    `stage` is the submission's status while it is run, `running` is shown meanwhile.
    """

    name: str
    stage: str
    title: str
    help: str
    running: str


_ALL = (
    CheckKind(
        "archive_safe",
        "received",
        "Archive unpacks safely",
        "The upload is a zip or tar.gz whose paths, file types, sizes and number of files are within bounds.",
        "Unpacking…",
    ),
    CheckKind(
        "manifest_valid",
        "received",
        "Manifest is valid",
        "agent.toml has every field it needs, its limits are within what this store allows, and its slug and "
        "version are free.",
        "Reading agent.toml…",
    ),
    CheckKind(
        "no_secrets",
        "received",
        "No secrets inside",
        "No private key or live credential lies in the bundle, or in a layer of its image. An agent gets its "
        "keys from its environment.",
        "Looking for credentials…",
    ),
    CheckKind(
        "image_inspected",
        "building",
        "Image is built and inspected",
        "The bundle was laid on the base image, or its own image loaded, and what is in it was looked at "
        "before any of it ran.",
        "Building the image…",
    ),
    CheckKind(
        "no_known_flaws",
        "building",
        "No known vulnerabilities",
        "The packages in the image are listed and compared with the advisories that this store has; which "
        "severity fails is its operator's choice.",
        "Listing its packages…",
    ),
    CheckKind(
        "starts_in_time",
        "checking",
        "Starts within its limit",
        "In a sandbox without a network, the agent is ready within the start_seconds of its manifest.",
        "Starting it in a sandbox…",
    ),
    CheckKind(
        "answers_ping",
        "checking",
        "Answers the health check",
        "GET /ping on port 8080 answers 200 (or what the manifest's protocol has in its place).",
        "Asking /ping…",
    ),
    CheckKind(
        "answers_request",
        "rehearsing",
        "Answers a shopping request",
        "Asked for something that the catalogue has, the agent answers in words within its turn limit.",
        "Rehearsing a conversation…",
    ),
    CheckKind(
        "recommends_real_variants",
        "rehearsing",
        "Recommends only what exists",
        "In the rehearsal the agent recommends at least one product, and each one exists, is in stock and "
        "may be shown. A refusal for the shopper's age or country, of which no agent is told, does not count.",
        "Comparing recommendations with the catalogue…",
    ),
)
REGISTRY: dict[str, CheckKind] = {kind.name: kind for kind in _ALL}


def kind_of(name: str) -> CheckKind:
    """The registered check of that name. Raises UnknownCheck."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise UnknownCheck(f"There is no check called {name!r:.60}.") from None
