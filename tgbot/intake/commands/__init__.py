"""What people can type and press: one module for each theme; every module in this folder is imported.

`registry` says how to add a command or a button, and looks up what the modules register.
"""

import importlib
import pkgutil

from tgbot.intake.commands.edit import offer as offer_edit
from tgbot.intake.commands.reaction import find_reaction
from tgbot.intake.commands.registry import (
    Act,
    Call,
    Command,
    ModelRules,
    Reply,
    find_button,
    find_command,
    menu,
    show,
)

__all__ = [
    "Act",
    "Call",
    "Command",
    "ModelRules",
    "Reply",
    "find_button",
    "find_command",
    "find_reaction",
    "menu",
    "offer_edit",
    "show",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
