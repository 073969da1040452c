"""Windows over device time.

open_windows ─▶ base_tier ─▶ reading_log      readings of open base windows, walked when they close
     │   └────▶ tiers                         accumulators of the coarser tiers
     ├────────▶ watermarks                    how far each device's time has advanced
     ├────────▶ late, late_share              readings whose window is already closed
     └────────▶ reduce ─▶ merge ─▶ rows       readings to rows of fixed width, which merge in any order
"""
