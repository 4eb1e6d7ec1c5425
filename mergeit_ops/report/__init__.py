"""One HTML file about a finished run: what became of its rows, by figures, plots and texts."""
