"""A stateful stand-in for Stripe, for development and tests: `python -m billing.stripe_standin`.

It answers the official SDK over HTTP as Stripe's test mode does, for what the store calls: payments, refunds,
charges, balance transactions, events and signed webhooks. It takes no money and refuses to run in live mode.
docs/decisions/0011-stand-in-for-stripe.md says why it exists and how it is kept honest.
"""
