"""What is known of the fleet: who the devices are, what arrived of each, and what became of it."""
