"""How fast credentials are issued and verified, beside the reference on Node and two libraries for Python."""
