"""The full-text schema and the queries built on it (Tantivy, BM25)."""

from __future__ import annotations

from typing import Final

import tantivy
from tantivy import FieldType, Occur, Query

from marketplace.catalog.search.backend import IndexDocument
from marketplace.catalog.search.filters import SearchFilters

# A change of the schema or the analysis: raise it, and readers and the writer start a new generation.
SCHEMA_VERSION: Final = 1
TOKENIZER: Final = "store_text"
# How much a word counts by where it stands.
FIELDS: Final = {"title": 3.0, "brand": 2.0, "category": 1.5, "body": 0.7}
_FUZZY_FROM: Final = 4
_FUZZY_TWICE_FROM: Final = 8
_FUZZY_BOOST: Final = 0.4
_MOST_TERMS: Final = 32


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


def build_schema() -> tantivy.Schema:
    """One document per product; `tag` holds exact filters such as `cat:garden` and `opt:color=red`."""
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("product_id", indexed=True, fast=True)
    for name in FIELDS:
        builder.add_text_field(name, tokenizer_name=TOKENIZER)
    builder.add_text_field("tag", tokenizer_name="raw", index_option="basic")
    for name in ("facet_category", "facet_brand"):
        builder.add_text_field(name, tokenizer_name="raw", fast=True, index_option="basic")
    builder.add_integer_field("min_price", indexed=True, fast=True)
    builder.add_integer_field("max_price", indexed=True, fast=True)
    return builder.build()


def option_tag(name: str, value: str) -> str:
    """`opt:color=red`"""
    return f"opt:{name.casefold()}={value.casefold()}"


def to_document(source: IndexDocument) -> tantivy.Document:
    """A product as a Tantivy document."""
    document = tantivy.Document()
    document.add_integer("product_id", source.product_id)
    document.add_text("title", source.title)
    document.add_text("brand", source.brand)
    document.add_text("category", " ".join(source.category_names))
    document.add_text("body", source.body)
    tags = {f"cat:{slug}" for slug in source.category_slugs}
    tags |= {f"merchant:{merchant}" for merchant in source.merchants}
    tags |= {f"ship:{country}" for country in source.ships_to}
    tags |= {f"cur:{currency}" for currency in source.currencies}
    tags |= {option_tag(name, value) for name, value in source.options}
    if source.brand:
        tags.add(f"brand:{source.brand.casefold()}")
        document.add_text("facet_brand", source.brand)
    if source.in_stock:
        tags.add("stock:yes")
    for tag in sorted(tags):
        document.add_text("tag", tag)
    if source.category_slugs:
        document.add_text("facet_category", source.category_slugs[-1])
    document.add_integer("min_price", source.min_price)
    document.add_integer("max_price", source.max_price)
    return document


def text_query(
    *, schema: tantivy.Schema, searcher: tantivy.Searcher, words: tantivy.TextAnalyzer, text: str
) -> Query:
    """Any word in any field, weighted by field; a word the index does not have matches its like."""
    wanted: list[tuple[Occur, Query]] = []
    for term in list(dict.fromkeys(words.analyze(text)))[:_MOST_TERMS]:
        known = [name for name in FIELDS if searcher.doc_freq(name, term)]
        for name in known:
            exact = Query.term_query(schema, name, term, index_option="freq")
            wanted.append((Occur.Should, Query.boost_query(exact, FIELDS[name])))
        if not known and len(term) >= _FUZZY_FROM:
            distance = 2 if len(term) >= _FUZZY_TWICE_FROM else 1
            for name in ("title", "brand", "category"):
                close = Query.fuzzy_term_query(schema, name, term, distance)
                wanted.append((Occur.Should, Query.boost_query(close, FIELDS[name] * _FUZZY_BOOST)))
    return Query.boolean_query(wanted) if wanted else Query.empty_query()


def filter_query(*, schema: tantivy.Schema, filters: SearchFilters) -> list[tuple[Occur, Query]]:
    """Conditions that let through at least all that truly passes; PostgreSQL has the last word."""

    def any_of(tags: list[str]) -> tuple[Occur, Query]:
        query = Query.term_set_query(schema, "tag", tags)
        return Occur.Must, Query.const_score_query(query, 0.0)

    wanted: list[tuple[Occur, Query]] = []
    if filters.categories:
        wanted.append(any_of([f"cat:{slug}" for slug in filters.categories]))
    if filters.brands:
        wanted.append(any_of([f"brand:{brand.casefold()}" for brand in filters.brands]))
    if filters.merchants:
        wanted.append(any_of([f"merchant:{merchant}" for merchant in filters.merchants]))
    if filters.ships_to:
        wanted.append(any_of([f"ship:{filters.ships_to}", "ship:*"]))
    if filters.in_stock:
        wanted.append(any_of(["stock:yes"]))
    if filters.currency:
        wanted.append(any_of([f"cur:{filters.currency}"]))
    for name, accepted in filters.options.items():
        wanted.append(any_of([option_tag(name, value) for value in accepted]))
    if filters.max_price:
        wanted.append(_at_most(schema, "min_price", upper=filters.max_price.micros))
    if filters.min_price:
        wanted.append(_at_most(schema, "max_price", lower=filters.min_price.micros))
    return wanted


def _at_most(
    schema: tantivy.Schema, name: str, *, lower: int | None = None, upper: int | None = None
) -> tuple[Occur, Query]:
    query = Query.range_query(schema, name, FieldType.Integer, lower, upper)
    return Occur.Must, Query.const_score_query(query, 0.0)
