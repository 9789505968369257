"""A ledger in PostgreSQL: `contender` says how the harness runs it; the rest is what it runs."""
