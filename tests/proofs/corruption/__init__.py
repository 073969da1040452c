"""Damage bytes of a spool while the gateway is stopped; judge what it reports and keeps."""
