"""Proof: edits of rule files under load."""
