"""Pages, pictures and tables that show an evaluation and its analysis to people."""
