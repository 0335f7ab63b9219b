"""The shopper's side: conversations, recommendations, cart, orders, consent."""

from marketplace.shopping.models.cart import Cart, CartLine
from marketplace.shopping.models.conversation import (
    Conversation,
    ConversationStatusChange,
    Message,
    ToolCall,
    Turn,
)
from marketplace.shopping.models.negotiation import NegotiationRule, NegotiationRuleChange
from marketplace.shopping.models.order import (
    Attribution,
    Checkout,
    CheckoutStatusChange,
    Order,
    OrderDispute,
    OrderLine,
    OrderStatusChange,
    Refund,
    RefundLine,
    RefundStatusChange,
)
from marketplace.shopping.models.order_event import UcpOrderEvent, UcpOrderEventChange
from marketplace.shopping.models.quote import Negotiation, NegotiationRound, Quote
from marketplace.shopping.models.recommendation import Recommendation
from marketplace.shopping.models.shopper import Consent, Shopper
from marketplace.shopping.models.ucp import (
    UcpCart,
    UcpCheckout,
    UcpCheckoutChange,
    UcpOwned,
    UcpPlatform,
    UcpReply,
)
from marketplace.shopping.models.ucp_profile import UcpProfile

__all__ = [
    "Attribution",
    "Cart",
    "CartLine",
    "Checkout",
    "CheckoutStatusChange",
    "Consent",
    "Conversation",
    "ConversationStatusChange",
    "Message",
    "Negotiation",
    "NegotiationRound",
    "NegotiationRule",
    "NegotiationRuleChange",
    "Order",
    "OrderDispute",
    "OrderLine",
    "OrderStatusChange",
    "Quote",
    "Recommendation",
    "Refund",
    "RefundLine",
    "RefundStatusChange",
    "Shopper",
    "ToolCall",
    "Turn",
    "UcpCart",
    "UcpCheckout",
    "UcpCheckoutChange",
    "UcpOrderEvent",
    "UcpOrderEventChange",
    "UcpOwned",
    "UcpPlatform",
    "UcpProfile",
    "UcpReply",
]
