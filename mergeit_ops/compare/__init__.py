"""Comparison of several sets of rows: their quality, their variety, and how well they cover a reference."""
