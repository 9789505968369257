"""Balances and their store: folds of the log, and what reads them."""
