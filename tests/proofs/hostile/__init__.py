"""Hostile messages, files and lines."""
