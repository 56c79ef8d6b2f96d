"""A Class 1 or 1.0 fax modem (TIA-578, T.31) on a serial port, as a line."""
