"""Naming features: sheets of pictures, questions to a vision-language model, its answers, and scores."""
