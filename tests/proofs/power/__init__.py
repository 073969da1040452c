"""Power cuts, by replaying what was written in every order a disk may keep."""
