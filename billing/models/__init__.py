"""Money's tables, by meaning: the ledger, prices, usage and its caps, statements and
invoices, what the processor told us, what does not agree."""

from billing.models.closing import DailyClose, DayTotal
from billing.models.fraud import UsageFlag, UsageTally
from billing.models.invoices import (
    BillingParty,
    ChargeDispute,
    CreditNote,
    DunningStep,
    Invoice,
    InvoiceChange,
    InvoiceTax,
)
from billing.models.ledger import Account, BalanceRollup, Entry, Journal, RollupMark
from billing.models.notices import Notice
from billing.models.payouts import EarningRelease, Payout, PayoutAccount, PayoutChange, PayoutHold
from billing.models.pricing import PriceRule, PriceVersion, PriceVersionChange
from billing.models.processor import WebhookEvent
from billing.models.reconciliation import (
    Incident,
    IncidentChange,
    IncidentLine,
    MovementMark,
    ProcessorLink,
    ProcessorMovement,
    ReconciledBalance,
    Reconciliation,
    ReconciliationChange,
)
from billing.models.repayments import Repayment, RepaymentChange
from billing.models.statements import Statement, StatementBalance, StatementLine, StatementPeriod
from billing.models.subjects import SubjectTotal
from billing.models.usage import BudgetChange, BudgetDay, Hold, MerchantBudget, UsageEvent, UsageEventChange
from billing.models.wallet import FundingChange, MerchantFunding, TopUp, TopUpChange

__all__ = [
    "Account",
    "BalanceRollup",
    "BillingParty",
    "BudgetChange",
    "BudgetDay",
    "ChargeDispute",
    "CreditNote",
    "DailyClose",
    "DayTotal",
    "DunningStep",
    "EarningRelease",
    "Entry",
    "FundingChange",
    "Hold",
    "Incident",
    "IncidentChange",
    "IncidentLine",
    "Invoice",
    "InvoiceChange",
    "InvoiceTax",
    "Journal",
    "MerchantBudget",
    "MerchantFunding",
    "MovementMark",
    "Notice",
    "Payout",
    "PayoutAccount",
    "PayoutChange",
    "PayoutHold",
    "PriceRule",
    "PriceVersion",
    "PriceVersionChange",
    "ProcessorLink",
    "ProcessorMovement",
    "ReconciledBalance",
    "Reconciliation",
    "ReconciliationChange",
    "Repayment",
    "RepaymentChange",
    "RollupMark",
    "Statement",
    "StatementBalance",
    "StatementLine",
    "StatementPeriod",
    "SubjectTotal",
    "TopUp",
    "TopUpChange",
    "UsageEvent",
    "UsageEventChange",
    "UsageFlag",
    "UsageTally",
    "WebhookEvent",
]
