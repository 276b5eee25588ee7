"""From image files to network inputs: geometry, mosaic, and all of it together in `augment`."""
