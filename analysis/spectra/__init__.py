"""One spectrum: what it is made of, where to start, how many lines, what they are called."""
