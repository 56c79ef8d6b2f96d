"""A Class 1 fax modem: AT commands in, signals on a simulated telephone line out (T.31)."""

from simulators.modem.dce import Modem
from simulators.modem.firmware import CARRIERS, LIES, Firmware, Flow, lying

__all__ = ["CARRIERS", "LIES", "Firmware", "Flow", "Modem", "lying"]
