"""What on this machine is missing, unsafe or slow for a gateway with this configuration."""

from faxgw.doctor.examination import examined
from faxgw.doctor.finding import Finding, Level, Machine

__all__ = ["Finding", "Level", "Machine", "examined"]
