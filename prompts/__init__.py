"""The texts, as files."""
