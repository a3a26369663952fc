"""The bus: one contract, two transports."""

from cairn.common.bus.contract import Bus, Fenced, Record, Refused, Subscription, Unreachable
from cairn.common.bus.opening import open_bus

__all__ = ["Bus", "Fenced", "Record", "Refused", "Subscription", "Unreachable", "open_bus"]
