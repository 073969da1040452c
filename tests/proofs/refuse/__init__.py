"""One kind of refusal per file; its `run(setting, name)` is one trial."""
