"""The client: a painter whose model is on a server."""
