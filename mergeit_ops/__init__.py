"""MergeIT as operators for Data-Juicer: a big, redundant instruction set in, a small, rich one out.

Data-Juicer finds the operators by itself (`mergeit_ops.ops`); `python -m mergeit_ops` is the command-line door.
"""

__version__ = "0.1.0"
