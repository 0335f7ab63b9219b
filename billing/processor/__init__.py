"""The payment processor, Stripe, through its official SDK. `STRIPE_API_BASE` says who answers."""
