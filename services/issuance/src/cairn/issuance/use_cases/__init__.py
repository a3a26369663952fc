"""What can be done with issuance. Each use case owns its transaction and commits it before its answer goes out."""
