"""How a fixed network is run fast."""
