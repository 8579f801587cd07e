"""Pictures in, a clean set out: gather, decode, crop, find duplicates, read what lies beside the pictures."""
