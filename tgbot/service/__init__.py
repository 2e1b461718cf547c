"""`tgbot service`: keeps `tgbot run` running with what the system has for that: systemd, or launchd on macOS.

`command` is what the command line calls. `systemd` and `launchd` say what is written and which commands are
run; `installed` does both.
"""
