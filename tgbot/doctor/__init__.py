"""`tgbot doctor`: checks what the bot relies on, a line for each, and says how to fix what is not well.

May import whatever the bot itself does. `command` is what the command line calls. One file for each kind of
check; to add one, write a function that returns a `Check` and yield it from the kind's `checks`.
"""
