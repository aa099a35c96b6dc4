"""The ``ember-widgets`` command."""
