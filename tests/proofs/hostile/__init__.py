"""Messages, files and lines that nobody sane sends."""
