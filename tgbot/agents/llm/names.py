"""Knows the names of models and the keys that they need, without importing what talks to them."""

import importlib.util

from tgbot.config import Settings, environment, wrong_setting

DEMO = "demo"
KEYS = {
    "openai": "OPENAI_API_KEY",
    "openai-chat": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
}
URLS = {  # the variable that the library of a provider takes its server from, and the server without it
    "openai": ("OPENAI_BASE_URL", "https://api.openai.com/v1"),
    "openai-chat": ("OPENAI_BASE_URL", "https://api.openai.com/v1"),
    "anthropic": ("ANTHROPIC_BASE_URL", "https://api.anthropic.com/v1"),
    "openrouter": ("", "https://openrouter.ai/api/v1"),
    "ollama": ("OLLAMA_BASE_URL", ""),
}
EXTRAS = {"anthropic": "anthropic"}  # the package, and the extra of ours that brings it


def full(name: str, url: str | None) -> str:
    """Complete a name: a server of one's own speaks OpenAI's chat completions, unless the name says else."""
    return name if (":" in name and name.partition(":")[0] in _known()) or not url else f"openai-chat:{name}"


def check(settings: Settings) -> None:
    """Check what can be known of the settings' models before they are asked. Raises ConfigError."""
    if not settings.model:
        raise wrong_setting("model", "an assistant needs a model")
    for name in settings.allowed_models:
        _check(name, "model" if name == settings.model else "models", settings)


def _check(name: str, setting: str, settings: Settings) -> None:
    if name == DEMO:
        return
    provider, colon, rest = full(name, settings.model_url).partition(":")
    if not (colon and rest):
        raise wrong_setting(setting, f"{name!r} names no provider")
    package = EXTRAS.get(provider)
    if package and importlib.util.find_spec(package) is None:
        raise wrong_setting(setting, f"{provider} needs `pip install 'tgbot[{package}]'`")
    if provider == "ollama" and not (settings.model_url or environment().get("OLLAMA_BASE_URL")):
        raise wrong_setting("model_url", "ollama needs the address of its server")
    key = KEYS.get(provider)
    if key and not (settings.model_key or settings.model_url or environment().get(key)):
        raise wrong_setting("model_key", f"{name} needs a key, here or in {key}")


def key_of(provider: str) -> str | None:
    """Find the key of a provider where its own variable has it, in the environment or in `.env`."""
    return environment().get(KEYS[provider]) if provider in KEYS else None


def transcribe_key(settings: Settings) -> str | None:
    """Find the key for transcriptions, which go to the settings' server or else to OpenAI: no other's key."""
    if settings.model_url or settings.model.startswith("openai"):
        return settings.model_key or (None if settings.model_url else key_of("openai"))
    return key_of("openai")


def secrets(settings: Settings) -> list[str]:
    """List the keys that may be used, for the log to redact."""
    keys = [settings.model_key, *(environment().get(name) for name in KEYS.values())]
    return list(dict.fromkeys(key for key in keys if key))


def servers(settings: Settings) -> list[str]:
    """List the addresses that the models of the settings are at, each once; those that are known."""
    providers = [full(name, settings.model_url).partition(":")[0] for name in settings.allowed_models]
    urls = [settings.model_url or _server_of(provider) for provider in providers if provider != DEMO]
    return list(dict.fromkeys(url.rstrip("/") for url in urls if url))


def _server_of(provider: str) -> str:
    variable, url = URLS.get(provider, ("", ""))
    return environment().get(variable, url)


def _known() -> frozenset[str]:
    return frozenset({*KEYS, "ollama"})
