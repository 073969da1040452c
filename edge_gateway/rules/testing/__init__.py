"""Unit tests of rules: files of test cases, run on the real evaluator with a simulated fleet and clock."""
