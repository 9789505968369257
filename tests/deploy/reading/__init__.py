"""Tests of reading and proving."""
