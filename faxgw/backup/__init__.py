"""Backups that open with age keys only, and tombstones: what was deleted stays deleted when one is restored."""
