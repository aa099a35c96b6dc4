"""What the widgets share: the latest-wins worker, the idle queue, pictures, feature rows and icons."""
