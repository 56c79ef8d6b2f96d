"""Faxes and notices on their way out: to mailboxes and folders, each hop protected, each copy in the ledger."""
