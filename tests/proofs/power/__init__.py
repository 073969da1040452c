"""Power cuts: replay recorded writes in every order in which a disk may keep them."""
