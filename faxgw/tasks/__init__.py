"""Work that must happen once a transaction is committed, and what is due by the clock."""
