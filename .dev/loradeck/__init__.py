"""loradeck: teach a Flux model your look from chat, and get the deck it was for."""

__version__ = "0.1.0"
