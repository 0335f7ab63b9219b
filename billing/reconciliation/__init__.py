"""Each day compared from three sides: the processor, the ledger, the events and what they are for.

docs/algorithms/reconciliation.md has a worked example, executed as a test.
"""
