"""Kill the gateway at named points and at random."""
