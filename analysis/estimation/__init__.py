"""Maximum likelihood on line tables, and least squares for curves of few points."""
