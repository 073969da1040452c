"""Windows over device time: open ones as columns, closed ones as mergeable rows of fixed width."""
