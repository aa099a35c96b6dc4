"""The model on a server, the widgets elsewhere: server, client, and the wire between them."""
