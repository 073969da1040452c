"""Rule tests: a fleet on paper, a clock that is told the time, and what must fire."""
