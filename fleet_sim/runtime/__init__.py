"""A running fleet: built from a scenario, paced, observed and controlled."""
