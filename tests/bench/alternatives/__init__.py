"""Others that do the job of `tests.bench.job`, each as its own users would write it."""
