"""The stream processors: admission and rating."""
