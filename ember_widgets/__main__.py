"""``python -m ember_widgets`` runs the ``ember-widgets`` command."""

from __future__ import annotations

import sys

from ember_widgets.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
