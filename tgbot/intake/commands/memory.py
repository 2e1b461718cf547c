"""The commands about what a model remembers, which its agent obeys when it is their turn."""

from tgbot.agents.llm import menu
from tgbot.intake.commands.registry import queued

for _name, _line in menu.COMMANDS.items():
    queued(_name, _line)
