"""Balances: drain grants, count overage, cross thresholds (architecture.md section 6)."""
