"""From `raw` to detections: decode, suppress, restore to the original image."""
