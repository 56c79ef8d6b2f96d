"""What comes by mail becomes a fax: read within bounds, sealed, written down, and its result told."""
