"""What can be done with pathways. Each use case owns its transaction and commits it before its answer goes out."""
