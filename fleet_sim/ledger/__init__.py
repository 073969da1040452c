"""What was truly sent: written while a fleet runs, read when it is judged."""
