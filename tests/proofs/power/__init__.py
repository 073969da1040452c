"""Power cuts: replay what was written, in every order in which a disk may keep it."""
