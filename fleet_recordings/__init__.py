"""Recordings of real devices, for both programs: how a CSV file is read, and faults laid over what it says."""
