"""Pictures for the caller to look at, and for nothing else."""
