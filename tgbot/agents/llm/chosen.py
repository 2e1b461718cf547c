"""Names what a chat has chosen, as the values of its session (store.values) keep it."""

SETTING = "setting"  # their kind
MODEL = "model"
PROMPT = "prompt"
TIME_ZONE = "time_zone"
