"""The scene: what is painted, where, and how it is saved. numpy only."""
