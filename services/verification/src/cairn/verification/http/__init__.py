"""The routes, one file a door."""
