"""Bytes of a spool are damaged while the gateway is away; what it says and keeps is judged."""
