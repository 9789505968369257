"""Which contract covers a line, and what prices it: pure, for rating and for entitlement checks."""
