"""Files that people edit: reading, parsing, checking, and errors with line and column."""
