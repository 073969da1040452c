"""Real servers on free ports, as child processes, for proofs, tests and benchmarks."""
