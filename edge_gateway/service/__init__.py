"""The running program: what is built, started, watched, asked and stopped."""
