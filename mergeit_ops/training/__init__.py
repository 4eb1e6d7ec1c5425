"""Training a small student on sets of rows, to see which set trains it better."""
