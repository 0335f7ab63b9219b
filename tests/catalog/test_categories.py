"""A category is its path: no two of them share a slug, a row, a filter or an address."""

from importlib import import_module
from itertools import product

import pytest
from django.apps import apps
from django.urls import reverse
from django.utils.text import slugify
from hypothesis import given
from hypothesis import strategies as st

from agentstore.kit.clock import now
from marketplace.catalog.categories import ensure_category, find_slugs, path_names
from marketplace.catalog.models import Category, Offer, Product
from marketplace.catalog.offers import read_offers
from marketplace.catalog.search import SearchFilters, search_catalog
from marketplace.catalog.shelf import categories_of
from marketplace.catalog.slugs import LONGEST, is_slug, level_slug, slug_of, top_level_slug
from marketplace.shopping.negotiation import Terms
from marketplace.shopping.negotiation.rules import add_rule, rule_for

BOTH = [("Electronics Headphones",), ("Electronics", "Headphones")]


def feed(**goods):
    """Lines by item id: title and category."""
    lines = [
        f"{item_id}\t{title}\t9 USD\tin_stock\t{category}" for item_id, (title, category) in goods.items()
    ]
    return "\n".join(["id\ttitle\tprice\tavailability\tproduct_category", *lines])


@pytest.fixture
def alike(load, merchant, index):
    """One product in each of two categories whose names run together alike."""
    load(
        merchant,
        feed(one=("Wired", "Electronics Headphones"), two=("Wireless", "Electronics > Headphones")),
        filename="f.tsv",
    )
    index()
    return merchant


def found(*slugs):
    """Titles that a search in these categories finds."""
    return {item.title for item in search_catalog(query="", filters=SearchFilters(categories=slugs)).items}


def facts():
    """Every offer as a fact."""
    return read_offers(offer_ids=list(Offer.objects.values_list("pk", flat=True))).values()


# Few names that run together in many ways, so that most pairs are close ones.
CLOSE = ["a", "B", "A b", "b-a", "a--b", "_a_", "é", "e", "家 b", "電 b", "ปี", "ปู", "x" * 90, "x" * 91]
names = st.text(min_size=1, max_size=40).filter(level_slug)
paths = st.lists(names | st.sampled_from(CLOSE), min_size=1, max_size=5)


def levels(path):
    return tuple(map(level_slug, path))


@given(paths, paths)
def test_two_paths_share_a_slug_only_where_they_are_one(one, other):
    assert (slug_of(one) == slug_of(other)) == (levels(one) == levels(other))


def test_no_two_of_all_paths_of_close_names_share_a_slug():
    every = [path for depth in (1, 2, 3) for path in product(CLOSE, repeat=depth)]
    assert len({*map(slug_of, every)}) == len({*map(levels, every)}) == 11 + 11**2 + 11**3


@given(paths)
def test_a_slug_is_read_back_as_itself_and_names_of_one_level_as_no_deeper_one(names):
    slug = slug_of(names)
    assert len(slug) <= LONGEST
    assert is_slug(slug)
    assert "--" not in level_slug(names[0])
    assert levels(levels(names)) == levels(names)


@given(st.lists(st.text(alphabet="abcXYZ 019&'", min_size=1, max_size=30).filter(level_slug), max_size=5))
def test_case_and_spacing_make_no_other_category(names):
    loud = [f"  {name.upper().replace(' ', '   ')} " for name in names]
    assert slug_of(loud) == slug_of(names)


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("Electronics", "electronics"),
        ("Home & Garden > Café & Tea", "home-garden--cafe-tea"),
        ("electronics > HEADPHONES", "electronics--headphones"),
        ("家電 > カメラ A4", "家電--カメラ-a4"),
        ("Smørrebrød", "smørrebrød"),
        ("❤️ Gifts", "gifts"),
        ("भारत > कला", "भारत--कला"),
        (f"A > {'b' * 100} > {'c' * 100}", f"a--{'b' * 100}--{'c' * 36}---7a62cb4ead3a93f5"),
    ],
)
def test_slugs_are_readable(path, slug):
    assert slug_of(path_names(path)) == slug


def test_roots_are_called_in_fees_and_rankings_as_before():
    assert [top_level_slug(path) for path in [*BOTH, ()]] == [
        "electronics-headphones", "electronics", "other",
    ]  # fmt: skip


@given(st.text(alphabet=st.characters(max_codepoint=126), max_size=40))
def test_names_in_ascii_are_spelt_as_ever(name):
    assert level_slug(name) == slugify(name)


def test_a_feed_with_paths_that_run_together_alike_makes_two_categories(alike):
    rows = Product.objects.values_list("title", "category__path", "category__slug", "category__parent__path")
    assert set(rows) == {
        ("Wired", "Electronics Headphones", "electronics-headphones", None),
        ("Wireless", "Electronics > Headphones", "electronics--headphones", "Electronics"),
    }
    by_title = {fact.title: fact.category for fact in facts()}
    assert by_title == {"Wired": "electronics-headphones", "Wireless": "electronics"}
    assert set(categories_of(alike).values_list("path", flat=True)) == {
        "Electronics", "Electronics Headphones", "Electronics > Headphones",
    }  # fmt: skip


def test_a_filter_finds_its_own_categorys_goods_alone(alike):
    assert found("electronics-headphones") == {"Wired"}
    assert found("electronics--headphones") == {"Wireless"}
    assert found("electronics") == {"Wireless"}
    for text in ("Electronics--Headphones", "electronics > headphones "):
        assert find_slugs([text]) == ("electronics--headphones",)
    assert find_slugs(["Headphones"]) == ("headphones", "electronics--headphones")
    assert find_slugs(["ELECTRONICS HEADPHONES"]) == ("electronics-headphones",)


def test_a_rule_bargains_for_its_own_category_alone(alike, mia):
    terms = Terms(off_ppm=100_000, step_ppm=50_000, rounds=3)
    rule = add_rule(
        merchant=alike, target=Category.objects.get(slug="electronics"), terms=terms, active=True, by=mia
    )
    deciding = {fact.title: rule_for(fact, at=now())[0] for fact in facts()}
    assert deciding == {"Wired": None, "Wireless": rule}


def test_a_path_too_long_for_a_slug_is_kept_whole(load, merchant, index):
    deep = [f"{'long ' * 23}{level}" for level in "abcde"]
    load(
        merchant,
        feed(one=("First", " > ".join(deep)), two=("Second", " > ".join([*deep[:-1], "z"]))),
        filename="f.tsv",
    )
    index()
    slugs = dict(Product.objects.values_list("title", "category__slug"))
    assert found(slugs["First"]) == {"First"}
    assert found(slugs["Second"]) == {"Second"}
    assert found(slug_of(deep[:4])) == {"First", "Second"}
    assert Category.objects.get(slug=slugs["First"]).names == deep


@pytest.fixture
def of_before(alike):
    """The shop's rows as they were: both products in the root, what lies below hangs on it, one slug with hyphens."""
    ensure_category(["Electronics", "Headphones", "In-ear"])
    below = Category.objects.get(name="In-ear")
    lost = Category.objects.get(slug="electronics--headphones")
    root = Category.objects.get(slug="electronics-headphones")
    Product.objects.update(category=root)
    Category.objects.filter(pk=below.pk).update(slug="electronics-headphones-in-ear", parent=root)
    lost.delete()
    mixed = Category.objects.create(slug="tv", name="家電 TV", path="家電 TV")
    return below, mixed


@pytest.fixture
def migrate(of_before):
    migration = import_module("marketplace.catalog.migrations.0015_slugs_by_path")
    migration.name_by_path(apps, None)
    return migration


def test_old_rows_are_named_by_their_paths(migrate, of_before):
    rows = Category.objects.order_by("path").values_list("path", "slug", "former_slug", "parent__path")
    assert list(rows) == [
        ("Electronics", "electronics", None, None),
        ("Electronics > Headphones", "electronics--headphones", None, "Electronics"),
        (
            "Electronics > Headphones > In-ear", "electronics--headphones--in-ear",
            "electronics-headphones-in-ear", "Electronics > Headphones",
        ),
        ("Electronics Headphones", "electronics-headphones", None, None),
        ("家電 TV", "家電-tv", "tv", None),
    ]  # fmt: skip
    assert all(slug_of(row.names) == row.slug for row in Category.objects.all())
    migrate.name_by_path(apps, None)
    assert Category.objects.filter(former_slug=None).count() == 3


def test_the_next_import_parts_what_had_fallen_together(migrate, alike, load):
    again = load(alike, feed(two=("Wireless", "Electronics > Headphones")), filename="f.tsv")
    assert again.changed == 1
    assert Product.objects.filter(category__slug="electronics--headphones").get().title == "Wireless"


def test_the_names_of_before_can_be_had_back(migrate, of_before):
    ensure_category(["TV"])
    migrate.name_as_before(apps, None)
    below, mixed = (Category.objects.get(pk=row.pk) for row in of_before)
    assert (below.slug, below.former_slug) == ("electronics-headphones-in-ear", None)
    assert (mixed.slug, mixed.former_slug) == ("家電-tv", "tv")


def test_old_addresses_lead_to_the_new_ones(client, migrate, alike):
    search = reverse("catalog:search")
    led = client.get(search, {"category": "electronics-headphones-in-ear", "q": "a b", "cursor": "x"})
    assert (led.status_code, led.url) == (302, f"{search}?category=electronics--headphones--in-ear&q=a+b")
    assert client.get(search, {"category": "electronics-headphones"}).status_code == 200
    assert find_slugs(["electronics-headphones-in-ear"])[1:] == ("electronics--headphones--in-ear",)


def test_an_old_slug_that_another_category_has_now_is_that_ones(client, migrate):
    assert client.get(reverse("catalog:search"), {"category": "tv"}).status_code == 302
    ensure_category(["TV"])
    assert client.get(reverse("catalog:search"), {"category": "tv"}).status_code == 200
    assert find_slugs(["tv"]) == ("tv",)
