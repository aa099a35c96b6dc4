"""The only place that states the version; the build reads it from here."""

__version__ = "0.2.0"
