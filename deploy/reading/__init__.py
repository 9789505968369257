"""Reading and proving: balances, alerts, lag, the reconciliation of every invariant, rebuilding."""
