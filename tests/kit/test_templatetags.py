"""The tags and filters that templates of all rooms use."""

from pathlib import Path

import pytest
from django.template import Context, Template
from django.test import RequestFactory

from agentstore.kit.money import Money
from agentstore.kit.templatetags import kit

ICONS = Path(__file__).parents[2] / "assets" / "icons.txt"


def render(source: str, **context) -> str:
    return Template(source).render(Context(context))


def test_money_of_any_kind():
    assert kit.money(12_990_000) == "$12.99"
    assert kit.money(12_990_000, "EUR") == "€12.99"
    assert kit.money(Money(1_000_000, "GBP")) == "£1.00"
    assert kit.money(None) == ""


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Bargain Scout", "BS"), ("Fit & Find", "FF"), ("solo", "S"), ("", "?"), ("a b c", "AB")],
)
def test_initials(name, letters):
    assert kit.initials(name) == letters


def test_a_hue_is_stable_and_has_a_class():
    assert kit.hue("Bargain Scout") == kit.hue("Bargain Scout")
    assert {kit.hue_class(name) for name in kit.HUES} == set(kit.HUE_CLASSES.values())


def test_statuses_have_one_tone_each():
    words = [status for statuses in kit.STATUS_TONES.values() for status in statuses.split()]
    assert len(words) == len(set(words))
    assert kit.tone("In review") == "info"
    assert kit.tone("never heard of") == "neutral"


def test_an_address_that_is_not_served_is_nothing():
    assert kit.maybe_url("no:such") == ""
    assert kit.maybe_url("account_login") == "/account/login/"


def test_a_query_keeps_the_rest():
    request = RequestFactory().get("/?q=shoes&page=3&tag=a&tag=b")
    context = Context({"request": request})
    assert kit.query(context, page=4) == "?q=shoes&page=4&tag=a&tag=b"
    assert kit.query(context, page=None) == "?q=shoes&tag=a&tag=b"
    assert kit.query(Context({}), cursor="x&y") == "?cursor=x%26y"


@pytest.mark.parametrize(
    ("path", "prefixes", "is_current"),
    [
        ("/orders/7/", ["/orders/"], True),
        ("/orders/", ["/"], False),
        ("/", ["/"], True),
        ("/x/", [""], False),
    ],
)
def test_the_current_page(path, prefixes, is_current):
    context = Context({"request": RequestFactory().get(path)})
    assert bool(kit.current(context, *prefixes)) == is_current


def test_an_icon_is_hidden_unless_it_has_a_label():
    assert 'aria-hidden="true"' in render('{% icon "search" %}')
    assert 'aria-label="Find"' in render('{% icon "search" "size-4" "Find" %}')


def test_every_icon_of_the_list_is_in_the_sprite():
    sprite = (Path(__file__).parents[2] / "static" / "dist" / "icons.svg").read_text()
    names = [line.split(":")[0] for line in ICONS.read_text().split()]
    assert names == sorted(names)
    assert [name for name in names if f'id="{name}"' not in sprite] == []
