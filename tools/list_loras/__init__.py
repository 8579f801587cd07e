"""The LoRA library as callers see it."""
