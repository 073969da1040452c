"""Clocks of gateways and devices that are ahead, behind, stepping, absent, restored or suspended."""
