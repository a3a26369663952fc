"""How fast credentials are issued and verified, beside the reference on Node and libraries for Rust and Python."""
