"""Search: what the rest of the store may use of it."""

from marketplace.catalog.search.backend import Facet, Why
from marketplace.catalog.search.filters import SearchFilters
from marketplace.catalog.search.service import InvalidSearch, SearchResult, search_catalog

__all__ = ["Facet", "InvalidSearch", "SearchFilters", "SearchResult", "Why", "search_catalog"]
