"""Small helpers that know nothing of models: checks, files, PNG text, the hub, contact sheets."""
