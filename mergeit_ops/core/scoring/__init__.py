"""Scores of single rows: what scorers read, and how the score is computed."""
