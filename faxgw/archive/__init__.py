"""The archive: sealed objects in an object store."""
