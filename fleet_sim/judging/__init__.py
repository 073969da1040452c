"""What became of it: loss, windows in the database, alerts missed and false."""
