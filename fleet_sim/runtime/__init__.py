"""A fleet that runs: built from a scenario, paced, watched and asked."""
