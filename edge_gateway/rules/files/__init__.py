"""Rule files: their grammar, how they are read, and what is wrong in them by line and column."""
