"""Pictures for the gaps of a dataset."""
