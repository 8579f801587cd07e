"""What all engines at a host share: what goes there, what it costs, how it is watched, what comes back."""
