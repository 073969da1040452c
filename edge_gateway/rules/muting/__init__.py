"""Who is told of an alert and who is not: silences, inhibits, flapping, acknowledgements; never the alert's state."""
