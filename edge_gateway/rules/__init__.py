"""Rules: files people edit, checked at load, evaluated over columns."""
