"""The server: a painter for many clients."""
