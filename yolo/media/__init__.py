"""Pictures and video in and out: sources, drawing, writing."""
