"""The bus: one contract, two transports."""

from cairn.common.bus.contract import Bus, Record, Subscription, open_bus

__all__ = ["Bus", "Record", "Subscription", "open_bus"]
