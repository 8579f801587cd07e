"""The LoRA library: what is in use, and what comes and goes."""
