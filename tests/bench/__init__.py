"""Benchmarks: they report, they do not judge. `make bench`."""
