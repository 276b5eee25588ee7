"""Where the pieces meet: training, evaluation, prediction, the demo."""
