"""One HTML file that shows a finished run: what became of its rows, in figures, plots and texts."""
