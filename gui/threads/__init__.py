"""What is done beside the window's own thread, and what is never left to it."""
