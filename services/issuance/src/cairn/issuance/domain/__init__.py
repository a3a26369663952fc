"""What a university issues, to whom and on what grounds. Pure: no I/O and no clock."""
