"""A Class 1 fax modem: AT commands in, signals on a simulated telephone line out (T.31)."""

from simulators.modem.dce import Modem
from simulators.modem.firmware import CARRIER_TAIL, CARRIERS, LIES, Firmware, Flow, lying

__all__ = ["CARRIERS", "CARRIER_TAIL", "LIES", "Firmware", "Flow", "Modem", "lying"]
