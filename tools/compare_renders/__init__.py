"""The same prompts and seeds through several LoRAs or strengths."""
