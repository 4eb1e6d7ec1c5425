"""Requests in files: written, submitted as batches, waited for, and read, however often the run is stopped."""
