from django.urls import URLPattern, URLResolver, path

from billing.charges import views as charges
from billing.dashboard import views as dashboard
from billing.views import (
    balance,
    developer,
    disputes,
    fees,
    ledger,
    merchant,
    prices,
    reconciliation,
    repaying,
    review,
    settling,
    statements,
    webhooks,
)

app_name = "billing"
urlpatterns: list[URLPattern | URLResolver] = [
    path("webhooks/stripe/", webhooks.stripe_webhook, name="stripe_webhook"),
    path("fees/", fees.fees, name="fees"),
    path("operator/billing/", dashboard.dashboard, name="operator"),
    path("operator/billing/usage/", dashboard.usage, name="usage"),
    path("operator/billing/usage/<uuid:event_id>/", charges.fee, name="fee"),
    path("operator/billing/export/<slug:name>.csv", dashboard.export, name="export"),
    path("operator/billing/review/", review.review, name="review"),
    path("operator/billing/credit/", balance.credit, name="credit"),
    path("operator/prices/", prices.prices, name="prices"),
    path("operator/prices/draft/", prices.draft, name="price_draft"),
    path("operator/prices/<uuid:version_id>/", prices.version, name="price_version"),
    path("operator/prices/<uuid:version_id>/draft/", prices.draft, name="price_redraft"),
    path("operator/prices/<uuid:version_id>/announce/", prices.announce, name="price_announce"),
    path("operator/prices/<uuid:version_id>/withdraw/", prices.withdraw, name="price_withdraw"),
    path("operator/ledger/", ledger.trial_balance, name="ledger"),
    path("operator/ledger/closes/", ledger.closes, name="closes"),
    path("operator/ledger/accounts/", ledger.accounts, name="accounts"),
    path("operator/ledger/accounts/<int:account_id>/", ledger.account, name="account"),
    path("operator/ledger/journals/<uuid:journal_id>/", ledger.journal, name="journal"),
    path("merchant/<slug:slug>/billing/", merchant.billing, name="merchant"),
    path("merchant/<slug:slug>/billing/charges/<uuid:event_id>/", charges.charge, name="charge"),
    path("merchant/<slug:slug>/billing/balance/", balance.balance, name="balance"),
    path("merchant/<slug:slug>/billing/balance/pay-in/", balance.pay_in, name="pay_in"),
    path("developer/<slug:slug>/earnings/", developer.earnings, name="earnings"),
    path("developer/<slug:slug>/earnings/<uuid:event_id>/", charges.earning, name="earning"),
    path("developer/<slug:slug>/earnings/payouts/", developer.payout_country, name="payout_country"),
    path("developer/<slug:slug>/earnings/onboarding/", developer.onboarding, name="onboarding"),
    path("developer/<slug:slug>/earnings/onboarded/", developer.onboarded, name="onboarded"),
    path("merchant/<slug:slug>/billing/charges/<uuid:event_id>/dispute/", disputes.dispute, name="dispute"),
    path("operator/billing/disputes/", disputes.queue, name="disputes"),
    path("operator/billing/disputes/<uuid:dispute_id>/", disputes.decide, name="decide_dispute"),
    path("operator/billing/invoices/", settling.invoices, name="invoices"),
    path("operator/billing/invoices/<uuid:invoice_id>/write-off/", settling.write_off, name="write_off"),
    path("merchant/<slug:slug>/statements/invoices/<uuid:invoice_id>/pay/", repaying.pay, name="repay"),
    path("merchant/<slug:slug>/statements/invoices/<uuid:invoice_id>/paid/", repaying.paid, name="repaid"),
    path("operator/billing/payouts/", settling.payout_list, name="payouts"),
    path("operator/billing/payouts/hold/", settling.hold, name="payout_hold"),
    path("operator/billing/payouts/<uuid:payout_id>/cancel/", settling.cancel_payout, name="cancel_payout"),
    path("operator/billing/reconciliation/", reconciliation.reconciliation, name="reconciliation"),
    path("operator/billing/reconciliation/<str:day>/again/", reconciliation.again, name="reconcile_again"),
    path("operator/billing/incidents/<uuid:incident_id>/", reconciliation.incident, name="incident"),
    path(
        "operator/billing/incidents/<uuid:incident_id>/lines.csv",
        reconciliation.lines_csv,
        name="incident_csv",
    ),
    *(
        path(f"{kind}/<slug:slug>/statements/{rest}", view, {"kind": kind}, name=f"{kind}_{name}")
        for kind in ("merchant", "developer")
        for rest, view, name in (
            ("", statements.index, "statements"),
            ("<uuid:statement_id>/", statements.statement, "statement"),
            ("<uuid:statement_id>/lines/<int:number>/", statements.line, "statement_line"),
            ("<uuid:statement_id>/statement.pdf", statements.as_pdf, "statement_pdf"),
            ("<uuid:statement_id>/statement.csv", statements.as_csv, "statement_csv"),
        )
    ),
]
