"""One run: the loop over the point table, and how doors start it."""
