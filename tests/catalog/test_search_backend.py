"""What every search backend keeps, how a query is read, and how two rankings are joined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstore.kit.money import Money
from marketplace.catalog.models import TextEmbedding
from marketplace.catalog.search import SearchFilters
from marketplace.catalog.search.backend import Facet, IndexDocument
from marketplace.catalog.search.embedder import get_embedder
from marketplace.catalog.search.fusion import fuse, normalise
from marketplace.catalog.search.hybrid import HybridBackend
from marketplace.catalog.search.synonyms import read_synonyms
from marketplace.catalog.search.wording import read_query
from marketplace.catalog.search.wordsearch import Worded

MERCHANT = "0192a000-0000-7000-8000-000000000001"


def document(number, *, title="Thing", text_key=None, price=10, **fields):
    """A product that ships everywhere, in stock, for `price` USD."""
    values = {
        "brand": "Loom", "category_names": ("Goods",), "category_slugs": ("goods",), "body": "",
        "options": frozenset(), "attributes": frozenset(), "merchants": frozenset({MERCHANT}),
        "ships_to": frozenset({"*"}), "currencies": frozenset({"USD"}), "in_stock": True,
    }  # fmt: skip
    return IndexDocument(
        product_id=number,
        text_key=number if text_key is None else text_key,
        title=title,
        min_price=price * 1_000_000,
        max_price=price * 1_000_000,
        **{**values, **fields},
    )


def found(backend, query="", *, after=0, limit=50, facets=True, explain=False, **filters):
    return backend.search(
        query=query,
        filters=SearchFilters(**filters),
        after=after,
        limit=limit,
        facets=facets,
        explain=explain,
    )


def ids(*args, **kwargs):
    return [hit.product_id for hit in found(*args, **kwargs).hits]


@pytest.fixture(params=[HybridBackend])
def backend(request, db):
    return request.param()


def vectors_of(texts):
    embedder = get_embedder()
    assert embedder is not None, "the embedding model is not installed"
    return embedder.embed(list(texts))


def varied_vectors(texts):
    """Vectors of these texts, each a little off, as those of different wordings are."""
    known = dict(zip(set(texts), vectors_of(set(texts)), strict=True))
    rng = np.random.default_rng(3)
    return [(known[text] + rng.normal(scale=0.01, size=384)).tolist() for text in texts]


def embed(texts):
    """Give these texts their vectors, as the embedding task does."""
    vectors = vectors_of(texts.values()).tolist()
    TextEmbedding.objects.bulk_create(
        TextEmbedding(text_hash=f"{key:064x}", key=key, vector=vector)
        for key, vector in zip(texts, vectors, strict=True)
    )


class TestContract:
    """A second backend joins by being a parameter of the fixture."""

    def test_what_was_written_is_found_replaced_and_forgotten(self, backend):
        assert found(backend).index_empty
        assert (
            backend.apply(upserts=[document(1, title="Kettle"), document(2, title="Lamp")], deletes=()) == 2
        )
        assert ids(backend, "kettle") == [1]
        backend.apply(upserts=[document(1, title="Teapot")], deletes=[2, 77])
        assert (ids(backend, "kettle"), ids(backend, "teapot"), ids(backend)) == ([], [1], [1])

    def test_everything_is_replaced_in_one_step(self, backend):
        backend.apply(upserts=[document(1), document(2)], deletes=())
        assert backend.replace_all([[document(3)], [document(4), document(5)]]) == 3
        assert ids(backend) == [3, 4, 5]

    def test_a_replacement_that_fails_leaves_what_was(self, backend):
        def broken():
            yield [document(2)]
            raise ConnectionError

        backend.apply(upserts=[document(1)], deletes=())
        with pytest.raises(ConnectionError):
            backend.replace_all(broken())
        assert ids(backend) == [1]

    def test_a_listing_goes_on_behind_a_place(self, backend):
        backend.apply(upserts=[document(number) for number in (5, 1, 9, 3)], deletes=())
        first = found(backend, limit=2)
        assert ([hit.product_id for hit in first.hits], first.total) == ([1, 3], 4)
        assert ids(backend, after=first.hits[-1].place, limit=2) == [5, 9]

    def test_a_ranking_goes_on_behind_a_place(self, backend):
        backend.apply(
            upserts=[document(number, title="Lamp " * number) for number in range(1, 8)], deletes=()
        )
        whole = found(backend, "lamp").hits
        assert ids(backend, "lamp", after=whole[2].place, limit=2) == [hit.product_id for hit in whole[3:5]]

    def test_each_filter_narrows(self, backend):
        backend.apply(
            upserts=[
                document(1, options=frozenset({("Size", "M")}), attributes=frozenset({("material", "Oak")})),
                document(2, brand="Photon", price=30, ships_to=frozenset({"DE"})),
                document(3, category_slugs=("tools", "tools-saws"), in_stock=False),
            ],
            deletes=(),
        )
        assert ids(backend) == [1, 2]
        assert ids(backend, in_stock=False) == [1, 2, 3]
        assert ids(backend, options={"size": ("m", "l")}) == [1]
        assert ids(backend, attributes={"Material": ("oak",)}) == [1]
        assert ids(backend, attributes={"material": ("pine",)}) == []
        assert ids(backend, brands=("PHOTON",)) == [2]
        assert ids(backend, ships_to="US") == [1]
        assert ids(backend, categories=("tools",), in_stock=False) == [3]
        assert ids(backend, min_price=Money(20_000_000, "USD")) == [2]
        assert ids(backend, max_price=Money(20_000_000, "USD")) == [1]
        assert ids(backend, max_price=Money(20_000_000, "EUR")) == []

    def test_facets_divide_all_that_matches(self, backend):
        backend.apply(
            upserts=[
                document(1, price=9, options=frozenset({("Size", "M"), ("Size", "L")})),
                document(2, price=30, brand="Photon", options=frozenset({("Size", "M")})),
                document(3, price=9_000, attributes=frozenset({("material", "oak")})),
            ],
            deletes=(),
        )
        facets = {
            name: {facet.value: facet.count for facet in values}
            for name, values in found(backend, limit=1).facets.items()
        }
        assert facets == {
            "category": {"goods": 3},
            "brand": {"Loom": 2, "Photon": 1},
            "price": {"0-999": 1, "2500-4999": 1, "250000-": 1},
            "options.Size": {"M": 2, "L": 1},
            "attributes.material": {"oak": 1},
        }

    @pytest.mark.parametrize("query", ["", "thing"])
    def test_facets_are_counted_for_who_asks(self, backend, query):
        backend.apply(upserts=[document(1, title="Thing"), document(2, title="Other thing")], deletes=())
        assert found(backend, query=query, facets=False).facets is None
        counted = found(backend, query=query).facets
        assert counted["category"] == (Facet("goods", 2),)
        assert backend.facets(query=query, filters=SearchFilters()) == counted

    def test_a_hit_explains_itself(self, backend):
        backend.apply(
            upserts=[
                document(1, title="Grey sofa"),
                document(2, title="Office chair"),
                document(3, title="Tent"),
            ],
            deletes=(),
        )
        embed({1: "Grey sofa", 2: "Office chair", 3: "Tent"})
        result = found(backend, "couch", explain=True)
        assert result.reading == ("couch (nearly)", "sofa (for couch)")
        first = result.hits[0]
        assert (first.product_id, first.why.terms) == (1, ("sofa (for couch)",))
        assert first.why.words > 0
        assert 0.25 < first.why.meaning < 1
        assert first.score == first.why.words_share + first.why.meaning_share
        assert result.hits[1].why.words is None
        assert found(backend, "couch").hits[0].why is None


class TestMeaning:
    """What only a backend with vectors can keep."""

    @pytest.mark.parametrize(("others", "wanted"), [(300, 1), (300, 60), (5_000, 60)])
    def test_filters_leave_no_near_product_out(self, backend, monkeypatch, others, wanted):
        """Many nearer texts that do not pass stand before those that do."""
        monkeypatch.setattr("marketplace.catalog.search.hybrid.ALL_COMPARED", 50)
        backend.apply(
            upserts=[
                *(document(number, title="x") for number in range(1, others)),
                *(document(10_000 + number, title="y", brand="Few") for number in range(wanted)),
            ],
            deletes=(),
        )
        few = range(10_000, 10_000 + wanted)
        vectors = varied_vectors(["office chair"] * min(others, 600) + ["wooden seat"] * wanted)
        TextEmbedding.objects.bulk_create(
            TextEmbedding(text_hash=f"{key:064x}", key=key, vector=vector)
            for key, vector in zip([*range(1, min(others, 600) + 1), *few], vectors, strict=True)
        )
        assert len(ids(backend, "office chair", brands=("Few",), limit=200)) == wanted

    def test_products_that_read_alike_do_not_push_nearer_ones_out(self, backend):
        backend.apply(
            upserts=[
                document(1, title="a", text_key=7),
                *(document(number, title="b", text_key=8) for number in range(2, 1_300)),
            ],
            deletes=(),
        )
        embed({7: "comfortable armchair", 8: "garden tools"})
        assert ids(backend, "something to sit on", limit=1) == [1]


def read(text, *, known=(), synonyms=""):
    groups = read_synonyms(synonyms, analyze=str.split)
    wishes = read_query(
        text,
        split=str.split,
        stem=lambda word: [] if word == "the" else [word],
        known=lambda word: int(word in known),
        synonyms=groups,
    )
    return [[reading.text for reading in wish] for wish in wishes]


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("the red lamp", [["red"], ["lamp"]]),
        ("lamp lamp", [["lamp"]]),
        ("couch", [["couch (nearly)", "sofa (for couch)"]]),
        ("hoover", [["hoover (nearly)", "vacuum cleaner (for hoover)"]]),
        ("bath tub", [["bath (nearly)"], ["bathtub (for bath tub)"]]),
        ("redlamp", [["red lamp (for redlamp)", "redlamp (nearly)"]]),
        ("zx", []),
    ],
)
def test_each_word_has_its_readings(text, readings):
    known = {"red", "lamp", "sofa", "bathtub", "vacuum", "cleaner"}
    lines = "couch, sofa\nhoover => vacuum cleaner\ncouch => chaise\n"
    assert read(text, known=known, synonyms=lines) == readings


def test_a_synonym_file_is_read_leniently():
    groups = read_synonyms(
        "# a comment\ncouch, sofa # and another\ntee => t shirt\n,,\nalone\n=>\na b c d e, x\n",
        analyze=str.split,
    )
    assert groups == {("couch",): [("sofa",)], ("sofa",): [("couch",)], ("tee",): [("t", "shirt")]}


@pytest.mark.django_db
def test_a_store_has_synonyms_of_its_own_that_count_at_once(settings, tmp_path):
    own = tmp_path / "own.txt"
    settings.SEARCH_SYNONYMS = str(own)
    backend = HybridBackend()
    backend.apply(upserts=[document(1, title="Sofa"), document(2, title="Chesterfield")], deletes=())
    assert ids(backend, "couch") == [1]
    own.write_text("couch => chesterfield\n")
    assert ids(backend, "couch") == [1, 2]


SCORES = st.dictionaries(st.integers(1, 30), st.floats(0, 50, allow_nan=False), max_size=12)


@given(SCORES)
def test_normalised_scores_keep_their_order_between_0_and_1(scores):
    shares = normalise(scores)
    assert all(0 <= share <= 1 for share in shares.values())
    assert all(shares[a] <= shares[b] for a in scores for b in scores if scores[a] <= scores[b])


@given(SCORES, SCORES)
def test_fusion_keeps_everything_once_and_is_best_first(lexical, dense):
    ranked = fuse(
        [Worded(number, number, score) for number, score in lexical.items()],
        [(Worded(number, number, lexical.get(number, 0.0)), near) for number, near in dense.items()],
    )
    assert {one.product_id for one in ranked} == lexical.keys() | dense.keys()
    assert len(ranked) == len({one.product_id for one in ranked})
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    assert all(0 <= one.score <= 1 for one in ranked)
