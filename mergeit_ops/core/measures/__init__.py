"""Measures of a set of rows, with their intervals."""
