"""What devices measure: signal models as columns over all devices of a group.

The interface that the runtime uses::

    from fleet_sim.signals.group import GroupSignals

    signals = GroupSignals(group.metrics, plans, seed=scenario.seed, start_ms=run_start, faults=planned_faults)
    sample = signals.sample(rows, ticks, at_ms)  # i8[k] each; rows are positions in `plans`, each at most
                                                 # once a call; at_ms is the true time, ms since 1970
    sample.messages()    list of dicts, one `m` a message in the order of `rows`; a metric that is absent
                         (dropout, sent less often) is left out, a NaN fault is a real NaN
    sample.qualities()   list of dicts or None, one `q` a message; None where nothing is doubted
    sample.columns       name -> f8[k]; for states name -> list of str

    signals.apply_command(row, "temperature.setpoint", -22.0) -> tuple of the numbers of the faults that it
                         repaired; ValueError says why the device rejects it
    signals.add_fault(planned)                    # a fault of a running fleet
    signals.episodes(from_ms, until_ms) -> list   # excursions that begin by themselves, each once

`plans` are the group's devices. Faults of other groups, of devices and of links are ignored.

A device's values depend on (seed, device id, its own sequence of ticks and times) and on nothing else, so it
sends the same bytes alone and in a fleet of any size. A call has a fixed cost of some 100 µs whatever k
is: sample the devices that are due within the next 20 to 100 ms together, those of one device in the order of
its ticks.
"""
