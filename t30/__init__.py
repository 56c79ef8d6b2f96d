"""The ITU-T fax Recommendations as pure code: T.30 procedures, T.4/T.6 coding; no I/O, no clock, no logging."""

ENGINE = 2
"""Which engine this is. Raised when, told the same events, it does something else than the last one that was released:
a recorded call says by which it was made, and is only then done again exactly."""
