"""The store's front: which agents, in which order, and what may honestly be said of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import F, Func, Q, QuerySet

from agentstore.identity.models import User
from marketplace.publishing.listings import live_agents
from marketplace.publishing.models import Agent
from marketplace.ranking import exposures
from marketplace.ranking.order import Ranked, rank_agents
from marketplace.shopping.agent_words import category_words, skill_words
from marketplace.shopping.reliability import gates

PER_PAGE: Final = 24


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: a session, the shopper's id if there is one, and the organizations that the person is of."""

    session_ref: str
    shopper_ref: str
    organizations: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Listed:
    """An agent as the grid shows it."""

    agent: Agent
    ranked: Ranked

    @property
    def figure(self) -> str:
        """The rate, or nothing while there is too little evidence for one."""
        return "" if self.ranked.thin else f"{self.ranked.mean:.1%}"

    @property
    def label(self) -> str:
        """What the figure means, with its interval and the volume behind it."""
        if self.ranked.thin:
            return "Too new to say"
        low, high = self.ranked.low, self.ranked.high
        return f"of views led to a purchase ({low:.1%} – {high:.1%}, {self.ranked.volume:,} views)"

    @property
    def skills(self) -> list[str]:
        """What it can do, in words."""
        return skill_words(self.agent)


@dataclass(frozen=True, slots=True)
class Storefront:
    """One page of the store."""

    page: Page[int]
    listed: Sequence[Listed]
    total: int


def viewer_of(*, user: User | None, session_ref: str, shopper_ref: str) -> Viewer:
    """The viewer with the organizations that make their own looks not count."""
    organizations = (
        frozenset(user.memberships.values_list("organization_id", flat=True)) if user else frozenset()
    )
    return Viewer(session_ref, shopper_ref, organizations)


def categories() -> list[tuple[str, str]]:
    """(slug, words) of every category that a live agent serves."""
    slugs = (
        live_agents()
        .order_by()
        .annotate(category=Func(F("categories"), function="unnest"))
        .values_list("category", flat=True)
        .distinct()
    )
    return sorted((slug, category_words(slug)) for slug in slugs)


def show_store(*, viewer: Viewer, query: str, category: str, page_number: str | None) -> Storefront:
    """A page of the store in its order, and a record of whom it showed where."""
    found = list(_matching(query, category).values_list("pk", flat=True))
    page = Paginator(range(len(found)), PER_PAGE).get_page(page_number)
    first = max(page.start_index() - 1, 0)
    ranked = rank_agents(
        agent_ids=found,
        category=category,
        seed=f"{viewer.session_ref}:{category}",
        gates=gates(),
        window=slice(first, first + PER_PAGE),
    )
    agents = {agent.pk: agent for agent in live_agents().filter(pk__in=[r.agent_id for r in ranked])}
    listed = [Listed(agents[r.agent_id], r) for r in ranked if r.agent_id in agents]
    exposures.record_exposures(
        surface="search" if query else "category" if category else "store",
        session_ref=viewer.session_ref,
        shopper_ref=viewer.shopper_ref,
        category=category,
        shown=[_shown(item, viewer) for item in listed],
    )
    return Storefront(page, listed, len(found))


def _shown(item: Listed, viewer: Viewer) -> exposures.Shown:
    return exposures.Shown(
        agent_id=item.agent.pk,
        position=item.ranked.position,
        slot=item.ranked.slot,
        propensity=item.ranked.propensity,
        swapped=item.ranked.swapped,
        excluded=_own(item.agent, viewer),
    )


def exposure_for(*, viewer: Viewer, agent: Agent) -> UUID:
    """What led to the agent's page: the place where this session last saw it, else the page itself."""
    earlier = exposures.latest_exposure(session_ref=viewer.session_ref, agent_id=agent.pk)
    if earlier is not None:
        return earlier
    (exposure_id,) = exposures.record_exposures(
        surface="agent",
        session_ref=viewer.session_ref,
        shopper_ref=viewer.shopper_ref,
        category="",
        shown=[exposures.Shown(agent_id=agent.pk, position=1, excluded=_own(agent, viewer))],
    )
    return exposure_id


def _own(agent: Agent, viewer: Viewer) -> str:
    return "own organization" if agent.developer_id in viewer.organizations else ""


def _matching(query: str, category: str) -> QuerySet[Agent]:
    """Live agents that a search finds in name, tagline, studio or category;

    Every word has to be somewhere.
    """
    agents = live_agents().order_by("pk")
    if category:
        agents = agents.filter(categories__contains=[category])
    for word in query.split()[:8]:
        agents = agents.filter(
            Q(name__icontains=word)
            | Q(tagline__icontains=word)
            | Q(developer__name__icontains=word)
            | Q(categories__icontains=word)
        )
    return agents
