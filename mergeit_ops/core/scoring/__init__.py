"""Scoring single rows: what scorers read, and how a score follows from it."""
