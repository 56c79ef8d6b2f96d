"""A SIP user agent without I/O: octets and the time go in, octets, events and wake-up times come out."""
