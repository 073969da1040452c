"""Rule files: their schema, loading, and errors with line and column."""
