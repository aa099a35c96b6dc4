"""Making SAEs: collecting a site's activations and training a BatchTopK SAE on them."""
