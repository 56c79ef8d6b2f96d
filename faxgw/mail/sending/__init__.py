"""Mail that leaves: to a smarthost or to the hosts of its domain, over TLS that was proven, or not at all."""
