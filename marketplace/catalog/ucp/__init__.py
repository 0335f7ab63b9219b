"""The Universal Commerce Protocol: the catalogue's objects and operations.

Its doors stand in marketplace.shopping.ucp.
"""
