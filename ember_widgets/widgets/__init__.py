"""The notebook widgets. Nothing here imports PyTorch: a widget takes any painter with the protocol."""
