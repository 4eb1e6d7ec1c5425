"""Rows: their identity, their lineage, and their lossless text form."""
