"""Properties that are worked out once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, overload

T = TypeVar("T")


class cached_property(Generic[T]):  # noqa: N801 - it takes the place of functools'
    """As in functools, without the lock, which takes longer than most of the work; Python 3.12 has none."""

    def __init__(self, work: Callable[[Any], T]) -> None:
        self._work: Final = work
        self._name: Final = work.__name__
        self.__doc__ = work.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> cached_property[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: Any, owner: type) -> T | cached_property[T]:
        if instance is None:
            return self
        found = self._work(instance)
        # Frozen classes are bypassed; and asked for its `__dict__`, an instance would have to make one first.
        object.__setattr__(instance, self._name, found)
        return found
