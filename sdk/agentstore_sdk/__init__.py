"""Write shopping agents for an Agent Store: talk to the store's tools, answer its turns.

Standard library only. `agentstore pack` copies this module, `store` and `server` into a bundle.
"""

from agentstore_sdk.server import Turn, serve
from agentstore_sdk.store import Product, Refused, Store, Unreachable, Variant

__all__ = ["Product", "Refused", "Store", "Turn", "Unreachable", "Variant", "serve"]
