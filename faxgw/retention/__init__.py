"""How long faxes are kept, and how they go for good: retention, legal holds, deletion, erasure, certificates."""

from faxgw.retention.shredding import Shredded, Why, remove, shred

__all__ = ["Shredded", "Why", "remove", "shred"]
