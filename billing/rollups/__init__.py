"""Sums kept beside the ledger, so that pages read days instead of adding up events."""
