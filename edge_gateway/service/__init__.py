"""The running program: composition, start, supervision, local interfaces, stop."""
