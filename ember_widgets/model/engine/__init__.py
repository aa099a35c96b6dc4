"""How a network with fixed weights runs fast."""
