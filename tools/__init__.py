"""One folder per step of the workflow, and what they share."""
