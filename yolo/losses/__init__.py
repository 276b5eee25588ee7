"""Who is responsible for what (`assignment`), and what it costs (`yolo_loss`)."""
