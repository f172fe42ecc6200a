"""The two files a person writes, read, checked against each other and against the limits."""
