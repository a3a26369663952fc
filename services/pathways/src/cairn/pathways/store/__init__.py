"""SQL of the pathways service, a module a noun. A function takes a transaction, and is one statement if it can be."""
