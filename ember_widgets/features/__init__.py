"""What is known about features: labels, icons, statistics, collections, the map."""
