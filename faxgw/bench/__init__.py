"""What the gateway can do on this machine: figures measured now, each beside its target."""
