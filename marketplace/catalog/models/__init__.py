"""What is sold, by whom, for how much, and how it got here."""

from marketplace.catalog.models.draft import DescriptionDraft, DescriptionDraftChange
from marketplace.catalog.models.feed import FeedImport, FeedImportStatusChange, FeedItemChange, FeedRefusal
from marketplace.catalog.models.feed_source import FeedPull, FeedSource
from marketplace.catalog.models.hostile import MarkedText, MarkedTextChange, TextExamination
from marketplace.catalog.models.index import IndexOutbox, TextEmbedding, WaitingText
from marketplace.catalog.models.offer import Offer, OfferChange, PricePoint, Reservation
from marketplace.catalog.models.photo_link import PhotoLink
from marketplace.catalog.models.product import Category, Media, Product, ProductStatusChange, Variant

__all__ = [
    "Category",
    "DescriptionDraft",
    "DescriptionDraftChange",
    "FeedImport",
    "FeedImportStatusChange",
    "FeedItemChange",
    "FeedPull",
    "FeedRefusal",
    "FeedSource",
    "IndexOutbox",
    "MarkedText",
    "MarkedTextChange",
    "Media",
    "Offer",
    "OfferChange",
    "PhotoLink",
    "PricePoint",
    "Product",
    "ProductStatusChange",
    "Reservation",
    "TextEmbedding",
    "TextExamination",
    "Variant",
    "WaitingText",
]
