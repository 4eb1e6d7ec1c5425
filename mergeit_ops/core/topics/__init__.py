"""Topics of a dataset: clustering, typical words, splits."""
