"""`tgbot init`: asks for what a bot needs, checks it at once, and writes `.env`.

`command` is what the command line calls, `questions` what is asked, `asking` the terminal, `checks` asks the
servers, `env_file` writes.
"""
