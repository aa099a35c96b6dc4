"""SDXL: cut at its sites, sampled, decoded, loaded."""
