"""FeatureAtlas: all features of an SAE on a map."""
