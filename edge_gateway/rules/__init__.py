"""Rules: loaded from files that people edit, checked, and evaluated over columns."""
