"""Windows over device time: open ones as columns of readings, closed ones as mergeable rows of fixed width.

`open_windows` is the way in. It keeps the base tier's readings in `base_tier` and `reading_log`, the coarser tiers in
`tiers`, each device's time in `watermarks`; `late` and `late_share` handle readings of closed windows. `reduce` makes
rows of readings, `merge` makes one row of two.
"""
