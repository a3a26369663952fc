"""What is handed in by strangers, mutated without end: no reader raises, hangs or swells."""
