"""Rows as such: their identity, their lineage, and their lossless form."""
