"""What folded rows say, as of a stated position: balances, contracts, the entitlement check."""
