"""`./demo`: the storyboard, played with real parts."""
