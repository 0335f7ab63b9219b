"""Drafts of product descriptions from what a merchant has said of a product; published by the merchant alone."""
