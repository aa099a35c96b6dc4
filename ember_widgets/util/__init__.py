"""Small helpers that do not depend on models: checks, files, PNG text, the hub, contact sheets."""
