"""What stands in the store, and the writes that change it: go live, roll back, suspend, reinstate, edit."""

from __future__ import annotations

from typing import Any

import semver
from django.db import transaction
from django.db.models import QuerySet

from agentstore.identity.access import MANAGERS, require_operator, require_signed_in
from agentstore.identity.models import Membership
from agentstore.kit.errors import Conflict, Forbidden, Invalid, NotFound
from marketplace.publishing.errors import NoteRequired, NothingToRollBackTo, NotLive
from marketplace.publishing.models import Agent, Version
from marketplace.publishing.specs import run_spec_for
from marketplace.publishing.transitions import change_status
from sandbox import pool


def live_agents() -> QuerySet[Agent]:
    """All agents that a shopper may talk to, each with its live version and developer."""
    return Agent.objects.filter(status=Agent.Status.LISTED).select_related("live_version", "developer")


def get_live_agent(slug: str) -> Agent:
    """A live agent by its slug. Raises NotLive (a NotFound) for unknown, draft and suspended ones alike."""
    agent = live_agents().filter(slug=slug).first()
    if agent is None:
        raise NotLive(
            "There is no such agent in the store.", hint="See all agents on the store's front page."
        )
    return agent


def go_live(*, agent: Agent, version: Version, by: Any, reason: str) -> None:
    """Make this version the live one and list the agent unless it is suspended.

    The caller holds the agent's row lock. Conversations that run on the version before end on it.
    """
    former = agent.live_version
    if former is not None and former.pk != version.pk:
        change_status(former, to=Version.Status.RETIRED, by=by, reason=f"{version.semver} went live")
        pool.clear_target(tenant=former.tenant)
    change_status(version, to=Version.Status.LIVE, by=by, reason=reason)
    agent.live_version = version
    agent.save(update_fields=["live_version"])
    if agent.status != Agent.Status.SUSPENDED:
        change_status(agent, to=Agent.Status.LISTED, by=by, reason=reason)
        _keep_warm(version)


@transaction.atomic
def suspend_agent(*, agent: Agent, by: Any, reason: str) -> None:
    """Take an agent out of the store at once; all its sandboxes end, running conversations with them.

    Raises NotFound unless `by` is an operator, NoteRequired without a reason, Conflict if it is not live.
    """
    require_operator(by)
    if not reason.strip():
        raise NoteRequired("A suspension needs a reason.", hint="Its developer reads it.")
    agent = _lock(agent)
    if agent.status != Agent.Status.LISTED:
        raise Conflict(f"This agent can't be suspended: {agent.get_status_display().lower()}.")
    change_status(agent, to=Agent.Status.SUSPENDED, by=by, reason=reason)
    for version in agent.versions.filter(status__in=Version.REVIEWED):
        pool.release_tenant(tenant=version.tenant, reason="the agent was suspended")


@transaction.atomic
def reinstate_agent(*, agent: Agent, by: Any, reason: str = "") -> None:
    """Put a suspended agent back with its live version. Raises NotFound (no operator), Conflict."""
    require_operator(by)
    agent = _lock(agent)
    if agent.status != Agent.Status.SUSPENDED or agent.live_version is None:
        raise Conflict("This agent is not suspended.")
    change_status(agent, to=Agent.Status.LISTED, by=by, reason=reason or "Reinstated")
    _keep_warm(agent.live_version)


@transaction.atomic
def roll_back(*, agent: Agent, by: Any, reason: str) -> Version:
    """Make the highest retired version below the live one live again; new conversations get it at once.

    `by` is an operator, or an owner or admin of the studio. Raises NotFound for strangers, Forbidden for
    plain members, NothingToRollBackTo when no earlier version was ever live.
    """
    _require_manager(agent, by)
    agent = _lock(agent)
    target = previous_version(agent)
    if target is None:
        raise NothingToRollBackTo("There is no earlier version that was live.")
    go_live(agent=agent, version=target, by=by, reason=reason or "Rolled back")
    return target


def previous_version(agent: Agent) -> Version | None:
    """The version that `roll_back` would make live, None when there is none."""
    if agent.live_version is None:
        return None
    live = semver.Version.parse(agent.live_version.semver)
    retired = agent.versions.filter(status=Version.Status.RETIRED)
    below = [version for version in retired if semver.Version.parse(version.semver) < live]
    return max(below, key=lambda version: semver.Version.parse(version.semver), default=None)


@transaction.atomic
def edit_listing(*, agent: Agent, by: Any, tagline: str, description: str) -> Agent:
    """Change what the store says of the agent in words. Raises NotFound, Forbidden, Invalid."""
    _require_manager(agent, by)
    if not tagline.strip() or len(tagline) > 160 or len(description) > 4000:
        raise Invalid("A tagline has 1 to 160 characters, a description at most 4,000.")
    agent = _lock(agent)
    agent.tagline, agent.description = tagline.strip(), description.strip()
    agent.save(update_fields=["tagline", "description"])
    return agent


def _lock(agent: Agent) -> Agent:
    return Agent.objects.select_for_update(of=("self",)).select_related("live_version").get(pk=agent.pk)


def _keep_warm(version: Version) -> None:
    pool.set_target(spec=run_spec_for(version), tenant=version.tenant)


def renew_targets() -> int:
    """Keep the live versions warm by the limits of now, where a ceiling or a manifest's reading has changed
    since; how many were renewed. Safe to repeat.
    """
    renewed = 0
    for agent in live_agents():
        version = agent.live_version
        if version is None:
            continue
        spec = run_spec_for(version)
        if pool.target_spec(tenant=version.tenant) not in (None, spec):
            pool.set_target(spec=spec, tenant=version.tenant)
            renewed += 1
    return renewed


def _require_manager(agent: Agent, by: Any) -> None:
    if getattr(by, "is_staff", False):
        return
    require_signed_in(by)
    membership = Membership.objects.filter(organization=agent.developer, user=by).first()
    if membership is None:
        raise NotFound("There is no such agent, or you are not a member of its studio.")
    if membership.role not in MANAGERS:
        raise Forbidden("Your role does not allow this.", hint="Ask an owner of the studio.")
