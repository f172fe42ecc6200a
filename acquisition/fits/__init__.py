"""The fits of a run and of files, and the laws over its points."""
