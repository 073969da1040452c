"""One kind of refusal per module; its `run(setting, name)` is one trial."""
