"""What the journal holds: inputs of the fold, its effects on the store, and their encoding."""
