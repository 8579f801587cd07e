"""Captions: given or built from attributes, judged one by one, saved where they are good."""
