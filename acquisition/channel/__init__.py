"""What an engine and its doors say to each other, and the loopback channel it goes over."""
