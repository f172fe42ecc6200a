"""The window's end of the channel: finding an engine, greeting it, asking it."""
