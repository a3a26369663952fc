"""Open Badges 3.0: models, the builder, and the way back to facts."""
