"""Fleets of the shipped profiles, graded under the shipped rules."""
