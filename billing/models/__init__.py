"""Money's tables, by meaning: the ledger, prices, usage and its caps, what the processor told us."""

from billing.models.closing import DailyClose, DayTotal
from billing.models.ledger import Account, BalanceRollup, Entry, Journal, RollupMark
from billing.models.pricing import PriceRule, PriceVersion, PriceVersionChange
from billing.models.processor import WebhookEvent
from billing.models.usage import BudgetChange, Hold, MerchantBudget, UsageEvent, UsageEventChange

__all__ = [
    "Account",
    "BalanceRollup",
    "BudgetChange",
    "DailyClose",
    "DayTotal",
    "Entry",
    "Hold",
    "Journal",
    "MerchantBudget",
    "PriceRule",
    "PriceVersion",
    "PriceVersionChange",
    "RollupMark",
    "UsageEvent",
    "UsageEventChange",
    "WebhookEvent",
]
