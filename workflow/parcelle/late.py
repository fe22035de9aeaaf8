"""Modules that are imported when something of them is first asked for."""

import importlib.util
import sys
from types import ModuleType


def module(name: str) -> ModuleType:
    """Give a module that is imported only when it is used; one that is imported already, as it is."""
    if name in sys.modules:
        return sys.modules[name]
    specification = importlib.util.find_spec(name)
    assert specification and specification.loader  # a module of this package
    specification.loader = importlib.util.LazyLoader(specification.loader)
    found = importlib.util.module_from_spec(specification)
    sys.modules[name] = found
    specification.loader.exec_module(found)
    return found
