"""UCP's doors: catalogue, carts, checkouts and orders for programs, over REST and MCP, and the store's profile.

The catalogue's own operations live in marketplace.catalog.ucp; what is bought here is the store's own checkout.
"""
