"""One kind of trouble a file."""
