"""Runs every benchmark of the package that needs no server."""

from bench.stacking import engine

engine.main()
