"""What verification does, one file a noun. Each opens its transaction and commits it by name."""
