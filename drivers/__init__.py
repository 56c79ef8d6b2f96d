"""Ways to reach a telephone line; each driver is a ``t30.line.FaxLine``."""
