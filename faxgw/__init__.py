"""The fax gateway, composed from the T.30 engine, the line drivers and the document tools."""

__version__ = "0.1.0"
