"""The proofs of delivery behind `./prove`: break real parts, then compare what was sent with what is stored."""
