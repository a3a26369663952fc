"""Faults, injected into real processes on real servers, and the invariant that must hold after each."""
