"""What is seen without a run: live frames, counts, a fit that is tried out."""
