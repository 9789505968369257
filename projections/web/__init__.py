"""What every HTTP service here shares: keys, problems, limits, how it is served."""
