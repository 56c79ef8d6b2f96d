"""The sound of a SIP call: G.711 over RTP, and the signals by which a fax machine is known in it."""
