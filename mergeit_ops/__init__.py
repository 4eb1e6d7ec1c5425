"""MergeIT as operators for Data-Juicer."""
