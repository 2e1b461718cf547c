"""What people can type and press: one module for each theme, which is found by lying here.

`registry` says how to add a command or a button. What its modules register is looked up here.
"""

import importlib
import pkgutil

from tgbot.intake.commands.registry import Act, Command, Reply, find_button, find_command, menu, show

__all__ = ["Act", "Command", "Reply", "find_button", "find_command", "menu", "show"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
