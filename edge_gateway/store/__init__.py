"""What is stored in SQLite: history, outbox, late readings and quarantine."""
