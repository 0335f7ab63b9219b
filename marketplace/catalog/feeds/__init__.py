"""Merchants' feeds: the column set of ACP and Google Merchant as CSV, TSV or JSON Lines, plain or gzipped."""

from marketplace.catalog.feeds.intake import UnknownFormat, import_dry_run, start_import
from marketplace.catalog.feeds.runner import run_import
from marketplace.catalog.feeds.undo import CannotRollBack, roll_back_import, start_roll_back

__all__ = [
    "CannotRollBack",
    "UnknownFormat",
    "import_dry_run",
    "roll_back_import",
    "run_import",
    "start_import",
    "start_roll_back",
]
