"""The command `ember-widgets`: `main` parses arguments, one file for each command does the work."""
