"""Twelve methods under one signature. `tqdit.methods()` lists them; importing this package registers them."""

import sys
from types import ModuleType
from . import registry, static, rounding, dynamic # noqa: F401, in the order in which they are listed


class _Methods(ModuleType):
    "The package itself can be called, so that `tqdit.methods` is both the list and the place of the code."
    def __call__(self) -> list: # of dicts: name, kind, idea, source
        "All methods: name, static or dynamic, idea and source."
        return registry.methods()


sys.modules[__name__].__class__ = _Methods
