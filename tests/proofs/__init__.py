"""The proofs of delivery behind `./prove`: real parts, broken on purpose, and what was sent against what is held."""
