"""Payloads into columns, one file a wire format."""
