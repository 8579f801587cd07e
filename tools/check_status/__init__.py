"""check_status: where a run stands, or everything at a glance."""
