"""What server and client have in common: frames, values, and the table of calls."""
