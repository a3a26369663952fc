"""How fast the whole system is, everything included, on two cores."""
