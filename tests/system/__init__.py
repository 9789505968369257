"""Whole pipelines of real worker processes, on real servers."""
