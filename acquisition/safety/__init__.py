"""What must hold at all times, and the way to the safe state."""
