"""The proofs of delivery behind `./prove`: real parts, broken on purpose, and what was sent compared with what is held."""
