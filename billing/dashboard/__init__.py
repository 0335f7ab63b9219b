"""The operator's billing dashboard: income and margin of a span of days, what is open, who brings most."""
