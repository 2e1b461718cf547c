"""`tgbot` and `python -m tgbot`: imports the commands, and runs one."""

import gc


def main() -> int:
    """Run one command; returns the exit status."""
    # What an import makes stays: the collector would only search all of it, again and again.
    gc.disable()
    from tgbot import cli  # noqa: PLC0415 - see above

    gc.freeze()
    gc.enable()
    return cli.main()


if __name__ == "__main__":
    raise SystemExit(main())
