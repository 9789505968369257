"""Numbers, times, documents and what is generated from them."""
