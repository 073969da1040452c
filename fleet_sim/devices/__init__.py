"""Simulated devices: pacing, messages, buffers, commands, connections and links."""
