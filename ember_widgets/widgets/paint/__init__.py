"""PaintWidget: the widget, its session, its messages."""
