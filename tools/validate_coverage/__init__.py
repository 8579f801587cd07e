"""Is the set ready to train, and what is missing: coverage, verdict, shot list."""
