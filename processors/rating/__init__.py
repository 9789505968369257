"""Rating: product, contract, rate and price of each admitted event (architecture.md section 5)."""
