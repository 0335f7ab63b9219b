"""The store's front and an agent's page: honest numbers, one order for one session, exposures recorded."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from marketplace.publishing.models import Agent, Version
from marketplace.ranking import conversions, fit
from marketplace.ranking.models import Exposure
from marketplace.shopping import reliability, storefront
from marketplace.shopping.models import Conversation, Turn
from tests.orders.test_pages import text
from tests.orders.world import list_agent, talk


@pytest.fixture
def client(client, db):
    """A visitor whose session is none of those that see two neighbours swapped."""
    session = client.session
    session["visit"] = "steady"
    session.save()
    return client


@pytest.fixture(autouse=True)
def _fresh_gates():
    cache.delete(reliability._KEY)
    yield
    cache.delete(reliability._KEY)


def history(agent: Agent, *, looks: int, sales: int) -> None:
    """Looks and matured sales of 40 days ago."""
    at = now() - timedelta(days=40)
    seen = Exposure.objects.bulk_create(
        Exposure(
            agent_id=agent.pk, surface="store", position=1, slot="ranked", propensity=1, examination=1,
            session_ref=f"s{i}", at=at,
        )
        for i in range(looks)
    )  # fmt: skip
    for i in range(sales):
        conversions.record_conversion(
            line_ref=f"line:{agent.pk}:{i}", agent_id=agent.pk, category="", buyer_ref=f"buyer{i}",
            exposure_id=seen[i].pk, amount=Money(1, "USD"), occurred_at=at,
            matures_at=at + timedelta(days=30),
        )  # fmt: skip
    conversions.mature_conversions()


def names(answer) -> list[str]:
    return re.findall(r'href="/agents/([a-z-]+)/"', answer.content.decode())


def test_an_empty_store_says_so(client, db):
    assert "No agents yet" in text(client.get("/"))


def test_agents_stand_by_their_results_with_honest_numbers(client, studio):
    for name, sales in (("Alpha", 5), ("Beta", 60), ("Gamma", 20), ("Delta", 10)):
        history(list_agent(studio, name), looks=400, sales=sales)
    fit.fit_ranking()
    answer = client.get("/")
    assert names(answer) == ["beta", "gamma", "delta", "alpha"]
    assert re.search(r"1\d\.\d% of views led to a purchase \(\d+\.\d% – \d+\.\d%, 400 views\)", text(answer))
    assert "4 agents" in text(answer)


def test_an_agent_without_a_record_gets_the_one_new_slot_and_no_number(client, studio):
    for name in ("Alpha", "Beta", "Gamma"):
        history(list_agent(studio, name), looks=400, sales=20)
    list_agent(studio, "Newcomer")
    fit.fit_ranking()
    answer = client.get("/")
    assert names(answer)[2] == "newcomer"
    assert "Too new to say" in text(answer)
    exposure = Exposure.objects.filter(slot="new").get()
    assert (exposure.position, exposure.propensity) == (3, 1.0)


def test_what_was_shown_is_recorded_once_per_look(client, studio):
    agents = [list_agent(studio, name, categories=["audio"]) for name in ("Alpha", "Beta")]
    client.get("/")
    client.get("/")
    assert Exposure.objects.count() == 2
    assert {e.agent_id for e in Exposure.objects.all()} == {a.pk for a in agents}
    assert all(0 < e.propensity <= 1 and e.session_ref for e in Exposure.objects.all())
    client.get("/?category=audio")
    client.get("/?q=alpha")
    assert list(Exposure.objects.order_by("at", "position").values_list("surface", "category")) == [
        ("store", ""), ("store", ""), ("category", "audio"), ("category", "audio"), ("search", ""),
    ]  # fmt: skip
    assert client.session.session_key not in set(Exposure.objects.values_list("session_ref", flat=True))


def test_the_studios_own_looks_do_not_count(client, studio, bob):
    list_agent(studio, "Alpha")
    client.force_login(bob)
    client.get("/")
    client.get("/agents/alpha/")
    assert set(Exposure.objects.values_list("excluded", flat=True)) == {"own organization"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=ALPHA", ["alpha"]),
        ("?q=headphones", ["beta"]),
        ("?q=northwind", ["alpha", "beta"]),
        ("?q=audio", ["beta"]),
        ("?q=alpha+headphones", []),
        ("?category=audio", ["beta"]),
        ("?category=nothing", []),
        ("?q=%25", []),
        ("?page=99", ["alpha", "beta"]),
    ],
)
def test_search_and_filter(client, studio, query, found):
    list_agent(studio, "Alpha", tagline="Compares kettles.")
    list_agent(studio, "Beta", tagline="Knows headphones.", categories=["audio"])
    answer = client.get(f"/{query}")
    assert sorted(names(answer)) == found
    if not found:
        assert "No agent fits" in text(answer)


def test_only_live_agents_are_there(client, studio):
    agent = list_agent(studio, "Alpha")
    Agent.objects.filter(pk=agent.pk).update(status=Agent.Status.SUSPENDED)
    assert names(client.get("/")) == []
    assert client.get("/agents/alpha/").status_code == 404


def test_an_agent_that_keeps_failing_sinks(client, studio, shopper, prices):
    for name, sales in (("Alpha", 22), ("Beta", 20)):
        history(list_agent(studio, name), looks=400, sales=sales)
    fit.fit_ranking()
    assert names(client.get("/")) == ["alpha", "beta"]
    conversation = talk(shopper, Agent.objects.get(name="Alpha"), prices)
    Turn.objects.bulk_create(
        Turn(conversation=conversation, index=i, status=Turn.Status.FAILED, fault="agent") for i in range(5)
    )
    cache.delete(reliability._KEY)
    assert names(client.get("/")) == ["beta", "alpha"]
    Turn.objects.update(fault="platform")
    cache.delete(reliability._KEY)
    assert names(client.get("/")) == ["alpha", "beta"]


def test_the_agents_page_tells_everything_before_the_first_word(client, studio):
    agent = list_agent(studio, "Alpha", categories=["audio"], description="All about sound.")
    Version.objects.create(
        agent=agent,
        semver="0.9.0",
        image_id="x",
        bundle_sha256="y",
        status=Version.Status.RETIRED,
        manifest={},
    )
    Version.objects.create(
        agent=agent,
        semver="2.0.0",
        image_id="x",
        bundle_sha256="y",
        status=Version.Status.REJECTED,
        manifest={},
    )
    shown = text(client.get("/agents/alpha/"))
    for words in (
        "Too new to say", "Search the shared catalogue", "Outfits", "1.0.0",
        "0.9.0", "Negotiates", "better price", "All about sound.",
        "by Northwind Labs", "Start a conversation", "pseudonym",
    ):  # fmt: skip
        assert words in shown, words
    assert "2.0.0" not in shown
    for not_yet in ("Try-on", "into your cart", "photos", "Ask other agents"):
        assert not_yet not in shown, not_yet
    Version.objects.update(manifest={"skills": ["negotiate", "outfit"], "permissions": ["catalog"]})
    shown = text(client.get("/agents/alpha/"))
    assert ("Outfits" in shown, "Negotiates" in shown) == (True, False)


def test_the_page_shows_rate_interval_volume_and_date(client, studio):
    history(list_agent(studio, "Alpha"), looks=400, sales=40)
    made = fit.fit_ranking()
    shown = text(client.get("/agents/alpha/"))
    assert re.search(r"between \d+\.\d% and \d+\.\d%", shown)
    assert f"{made.fitted_at:%B}" in shown
    assert "400" in shown


def test_a_conversation_remembers_where_the_agent_was_seen(client, studio, prices):
    agent = list_agent(studio, "Alpha")
    client.get("/")
    page = client.get("/agents/alpha/")
    (exposure,) = re.findall(r'name="exposure" value="([^"]+)"', page.content.decode())
    assert Exposure.objects.get(agent_id=agent.pk).pk.hex == exposure.replace("-", "")
    answer = client.post(reverse("shopping:chat-open", args=["alpha"]), {"exposure": exposure})
    assert answer.status_code == 302
    assert str(Conversation.objects.get().exposure_id) == exposure


def test_a_direct_visit_is_a_look_of_its_own(client, studio):
    list_agent(studio, "Alpha")
    client.get("/agents/alpha/")
    client.get("/agents/alpha/")
    assert Exposure.objects.get().surface == "agent"


def test_the_front_takes_few_queries_however_many_agents(client, studio, django_assert_max_num_queries):
    for i in range(storefront.PER_PAGE + 6):
        list_agent(studio, f"Agent {chr(97 + i // 26)}{chr(97 + i % 26)}")
    client.get("/")
    with django_assert_max_num_queries(16):
        answer = client.get("/?page=2")
    assert len(names(answer)) == 6
    assert "Page 2 of 2" in text(answer)
