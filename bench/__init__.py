"""Benchmarks, each one command: `make bench-<name>`. Results and their dates are kept in `docs/benchmarks.md`."""
