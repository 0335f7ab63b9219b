"""What is sold, by whom, for how much, and how it got here."""

from marketplace.catalog.models.feed import FeedImport, FeedImportStatusChange, FeedItemChange, FeedRefusal
from marketplace.catalog.models.index import IndexOutbox, TextEmbedding, WaitingText
from marketplace.catalog.models.offer import Offer, OfferChange
from marketplace.catalog.models.product import Category, Media, Product, ProductStatusChange, Variant

__all__ = [
    "Category",
    "FeedImport",
    "FeedImportStatusChange",
    "FeedItemChange",
    "FeedRefusal",
    "IndexOutbox",
    "Media",
    "Offer",
    "OfferChange",
    "Product",
    "ProductStatusChange",
    "TextEmbedding",
    "Variant",
    "WaitingText",
]
