"""From image files to network inputs: geometry, mosaic, and the whole recipe in `presets`."""
