"""What explains an evaluation: errors and their cost, sizes, calibration, intervals, comparison, suspicious labels."""
