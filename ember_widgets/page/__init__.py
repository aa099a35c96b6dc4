"""The page that paints without Python."""
