"""`t2v`, the program: one file a command."""
