"""T.38: fax over packets, from the IFP packet's bits to a line that the T.30 engine can use."""
