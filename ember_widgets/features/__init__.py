"""What is known of features: labels, icons, statistics, collections, the map."""
