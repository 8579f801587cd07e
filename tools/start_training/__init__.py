"""start_training: judge the set afresh, plan, and hand the training to a worker."""
