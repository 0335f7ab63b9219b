"""The full-text schema and the queries built on it (Tantivy, BM25)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from typing import Final

import tantivy
from tantivy import FieldType, Occur, Query

from marketplace.catalog.search.backend import IndexDocument
from marketplace.catalog.search.filters import SearchFilters
from marketplace.catalog.search.wording import Reading, Wish

# A change of the schema or the analysis: raise it, and readers and the writer start a new generation.
SCHEMA_VERSION: Final = 3
TOKENIZER: Final = "store_text"
# How much a word counts by where it stands.
FIELDS: Final = {"title": 3.0, "brand": 2.0, "category": 1.5, "body": 0.7}
FACET_FIELDS: Final = {"category": "facet_category", "brand": "facet_brand", "trait": "facet_trait"}
# Misspelt words are looked for where a shopper's word would stand; descriptions have too many.
_ALIKE_FIELDS: Final = frozenset({"title", "brand", "category"})
# What the index can hold of a whole number.
_HIGHEST: Final = (1 << 63) - 1
# Values that are looked up one by one.
_FEW: Final = 256
PRICE_STEPS: Final = (0, 10, 25, 50, 100, 250, 500, 1_000, 2_500)
Knows = Callable[[str, str], int]


def analyzer() -> tantivy.TextAnalyzer:
    """Words in lower case, without accents and stop words, reduced to English stems."""
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(40))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .filter(tantivy.Filter.stopword("english"))
        .filter(tantivy.Filter.stemmer("english"))
        .build()
    )


def splitter() -> tantivy.TextAnalyzer:
    """Words as written, in lower case and without accents."""
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(40))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .build()
    )


def build_schema() -> tantivy.Schema:
    """One document per product; `tag` holds exact filters such as `cat:garden` and `opt:color=red`."""
    builder = tantivy.SchemaBuilder()
    for name in ("product_id", "text_key", "min_price", "max_price"):
        builder.add_integer_field(name, indexed=True, fast=True)
    for name in FIELDS:
        builder.add_text_field(name, tokenizer_name=TOKENIZER)
    builder.add_text_field("tag", tokenizer_name="raw", index_option="basic")
    for name in FACET_FIELDS.values():
        builder.add_text_field(name, tokenizer_name="raw", fast=True, index_option="basic")
    return builder.build()


def trait_tag(kind: str, name: str, value: str) -> str:
    """`options:color=red`, `attributes:material=oak`"""
    return f"{kind}:{name.casefold()}={value.casefold()}"


def _sold_tag(currency: str, place: str) -> str:
    """In stock, in a currency, to a place; either may be left open. One condition instead of three."""
    return f"sold:{currency}:{place}"


def to_document(source: IndexDocument) -> tantivy.Document:
    """A product as a Tantivy document."""
    document = tantivy.Document()
    for name in ("product_id", "text_key", "min_price", "max_price"):
        document.add_integer(name, getattr(source, name))
    document.add_text("title", source.title)
    document.add_text("brand", source.brand)
    document.add_text("category", " ".join(source.category_names))
    document.add_text("body", source.body)
    tags = {f"cat:{slug}" for slug in source.category_slugs}
    tags |= {f"merchant:{merchant}" for merchant in source.merchants}
    tags |= {f"ship:{country}" for country in source.ships_to}
    tags |= {f"cur:{currency}" for currency in source.currencies}
    for kind, traits in (("options", source.options), ("attributes", source.attributes)):
        for name, value in sorted(traits):
            tags.add(trait_tag(kind, name, value))
            document.add_text("facet_trait", f"{kind}.{name}={value}")
    if source.brand:
        tags.add(f"brand:{source.brand.casefold()}")
        document.add_text("facet_brand", source.brand)
    if source.in_stock:
        every = itertools.product({"", *source.currencies}, {"", *source.ships_to})
        tags |= {_sold_tag(currency, place) for currency, place in every}
    for tag in sorted(tags):
        document.add_text("tag", tag)
    if source.category_slugs:
        document.add_text("facet_category", source.category_slugs[-1])
    return document


def wish_query(schema: tantivy.Schema, wish: Wish, *, knows: Knows) -> Query:
    """A word of the query in any field, weighted by field; of several readings the best counts."""
    readings = [_reading_query(schema, reading, knows) for reading in wish]
    return readings[0] if len(readings) == 1 else Query.disjunction_max_query(readings)


def _reading_query(schema: tantivy.Schema, reading: Reading, knows: Knows) -> Query:
    found: list[tuple[Occur, Query]] = []
    for name, weight in FIELDS.items():
        if reading.distance:
            if name in _ALIKE_FIELDS:
                near = Query.fuzzy_term_query(schema, name, reading.phrase[0], reading.distance)
                found.append((Occur.Should, Query.boost_query(near, weight * reading.weight)))
        elif all(knows(name, word) for word in reading.phrase):
            if len(reading.phrase) == 1:
                exact = Query.term_query(schema, name, reading.phrase[0], index_option="freq")
            else:
                exact = Query.phrase_query(schema, name, list(reading.phrase))
            found.append((Occur.Should, Query.boost_query(exact, weight * reading.weight)))
    return Query.boolean_query(found) if found else Query.empty_query()


def one_of(schema: tantivy.Schema, name: str, values: Collection[str | int]) -> Query:
    """Documents whose field has one of the values.

    A few are looked up one by one: an automaton for the set, which Tantivy makes, costs three times as much.
    """
    if len(values) > _FEW:
        return Query.term_set_query(schema, name, list(values))
    terms = [Query.term_query(schema, name, value, index_option="basic") for value in values]
    return terms[0] if len(terms) == 1 else Query.boolean_query([(Occur.Should, term) for term in terms])


def filter_query(*, schema: tantivy.Schema, filters: SearchFilters) -> list[tuple[Occur, Query]]:
    """Conditions that let through at least all that truly passes; PostgreSQL has the last word."""

    def any_of(tags: list[str]) -> tuple[Occur, Query]:
        return Occur.Must, Query.const_score_query(one_of(schema, "tag", tags), 0.0)

    wanted: list[tuple[Occur, Query]] = []
    if filters.categories:
        wanted.append(any_of([f"cat:{slug}" for slug in filters.categories]))
    if filters.brands:
        wanted.append(any_of([f"brand:{brand.casefold()}" for brand in filters.brands]))
    if filters.merchants:
        wanted.append(any_of([f"merchant:{merchant}" for merchant in filters.merchants]))
    places = [filters.ships_to, "*"] if filters.ships_to else []
    if filters.in_stock:
        wanted.append(any_of([_sold_tag(filters.currency, place) for place in places or [""]]))
    else:
        if places:
            wanted.append(any_of([f"ship:{place}" for place in places]))
        if filters.currency:
            wanted.append(any_of([f"cur:{filters.currency}"]))
    for kind, traits in (("options", filters.options), ("attributes", filters.attributes)):
        for name, accepted in traits.items():
            wanted.append(any_of([trait_tag(kind, name, value) for value in accepted]))
    if filters.max_price:
        wanted.append(_at_most(schema, "min_price", upper=filters.max_price.micros))
    if filters.min_price:
        wanted.append(_at_most(schema, "max_price", lower=filters.min_price.micros))
    return wanted


def _at_most(
    schema: tantivy.Schema, name: str, *, lower: int | None = None, upper: int | None = None
) -> tuple[Occur, Query]:
    lower, upper = (None if limit is None else min(limit, _HIGHEST) for limit in (lower, upper))
    query = Query.range_query(schema, name, FieldType.Integer, lower, upper)
    return Occur.Must, Query.const_score_query(query, 0.0)
