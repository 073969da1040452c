"""What has arrived: which messages are new, which are missing, and the receipts that say so to devices."""
