"""More boots, gaps, silence and history than a gateway can keep, judged by what was sent."""
