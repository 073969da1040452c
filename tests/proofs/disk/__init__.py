"""The disk fills: in the field and within a process, at every write."""
