"""One device after another: what it sends, keeps, obeys, and how it is connected."""
