"""From raw counts to electrons with variance."""
