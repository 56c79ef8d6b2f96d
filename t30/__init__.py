"""The ITU-T fax Recommendations as pure code: T.30 procedures, T.4/T.6 coding; no I/O, no clock, no logging."""
