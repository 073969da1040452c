"""What goes wrong with devices: quarantined topics, implausible times, repeated messages, bad values."""
