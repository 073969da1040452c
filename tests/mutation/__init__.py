"""Mutation testing of single rooms, by mutmut: what `./mutate` runs."""
