"""No sweep is on: looking, and moving by hand."""
