"""The run on disk: the journal, and the files that are made from it."""
