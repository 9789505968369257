"""A seeded world in one process: the pipeline's own code on an in-memory log, store and clock."""
