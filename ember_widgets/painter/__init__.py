"""The painter: model, dictionaries and features together."""
