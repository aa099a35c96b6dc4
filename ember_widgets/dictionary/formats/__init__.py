"""The formats of SAE files."""
