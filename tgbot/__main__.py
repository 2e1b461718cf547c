"""`python -m tgbot` is `tgbot`."""

from tgbot.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
