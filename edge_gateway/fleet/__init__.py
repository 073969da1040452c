"""The fleet: who the devices are, what has arrived from each, and what became of it.

    admission ─▶ watch ─▶ decoders ─▶ registry ─▶ devices
        ├─▶ value_checks ─▶ decoders, token_buckets
        ├─▶ stamp_clock, laps
        ├─▶ accounting ─▶ decoders
        └─▶ arrivals

Imports follow the arrows only; `timestamps` and `limits` are shared.
"""
