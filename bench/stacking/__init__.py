"""How fast the stacking engine and its service are: `python -m bench.stacking`, or one of its modules by itself."""
