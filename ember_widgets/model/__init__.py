"""The diffusion model that is steered."""
