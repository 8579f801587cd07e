"""Where a look is learned and drawn."""
