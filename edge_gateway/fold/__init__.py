"""(state, inputs) -> effects: the whole gateway as one pure function."""
