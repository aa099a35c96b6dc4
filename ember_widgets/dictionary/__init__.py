"""SAEs and factors: what a dictionary is, how files of it are read, what files leave open."""
