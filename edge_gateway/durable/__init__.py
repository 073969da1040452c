"""What survives: the journal, checkpoints, and the store behind them."""
