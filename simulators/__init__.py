"""One physical world and the instruments that look at it."""
