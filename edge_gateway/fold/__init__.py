"""The whole gateway as one pure function: (state, input) -> effects."""
