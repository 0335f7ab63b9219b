"""Refusals of this room, each with its stable code."""

from __future__ import annotations

from agentstore.kit.errors import Conflict, Invalid, NotFound, Refused


class BundleRefused(Refused):
    """The bundle can't be stored or unpacked safely. The message says which file and which rule.

    Codes: `too_large`, `empty_bundle`, `unknown_format`, `malformed_archive`, `unsafe_path`, `unsafe_link`,
    `special_file`, `too_many_files`, `unpacks_too_large`, `duplicate_path`, `encrypted`, `no_manifest`,
    `bare_image`.
    """

    code = "bundle_refused"


class ManifestInvalid(Invalid):
    """`agent.toml` breaks a rule. `problems` is a list of (field, what is wrong with it)."""

    code = "manifest_invalid"

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        told = "; ".join(f"{field}: {problem}" if field else problem for field, problem in problems)
        super().__init__(told, hint="The developer guide lists every field of agent.toml.")


class UnknownCheck(Invalid):
    """A result was reported for a check that is not in the registry."""

    code = "unknown_check"


class ChecksOutstanding(Conflict):
    """Not all checks have a result yet, so there is no verdict."""

    code = "checks_outstanding"


class AlreadyDecided(Conflict):
    """The submission is not waiting for an operator: it was decided, or never got that far."""

    code = "already_decided"


class NoteRequired(Invalid):
    """This decision needs a note that tells the developer why."""

    code = "note_required"


class NothingToRollBackTo(Conflict):
    """There is no earlier version that was live."""

    code = "nothing_to_roll_back_to"


class NotLive(NotFound):
    """No such agent is live, or it is suspended."""

    code = "agent_not_live"
