"""Topics of a dataset: clustering, typical words and splits."""
