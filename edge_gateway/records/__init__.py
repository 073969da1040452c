"""The records of the journal: inputs, effects, and their encoding."""
