"""stop_run: ask a run to stop; what was done is kept."""
