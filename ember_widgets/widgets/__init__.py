"""The notebook widgets. Nothing here imports PyTorch: a widget takes any painter that keeps the protocol."""
