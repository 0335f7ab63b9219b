"""Merchants' feeds: the column set of ACP and Google Merchant as CSV, TSV or JSON Lines, plain or gzipped."""

from marketplace.catalog.feeds.intake import UnknownFormat, start_import
from marketplace.catalog.feeds.runner import run_import

__all__ = ["UnknownFormat", "run_import", "start_import"]
