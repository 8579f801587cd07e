"""From a deck and a LoRA to pictures and a document."""
