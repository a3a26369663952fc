"""What a verification comes to. Pure: no input or output, no clock."""
