"""The bias supply behind one door: ramps, limits, trips."""
