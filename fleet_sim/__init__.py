"""The fleet simulator: it plays the devices, knows the truth, and grades the whole loop."""
