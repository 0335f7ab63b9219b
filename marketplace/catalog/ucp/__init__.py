"""The Universal Commerce Protocol, specification 2026-04-08: catalogue search, lookup and product detail."""
