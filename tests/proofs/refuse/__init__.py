"""One kind of refusal a file; each file's `run(setting, name)` is one trial."""
