"""The one exception the playground raises for a request it refuses."""


class ApiError(Exception):
    """A refusal in Telegram's words; becomes `{"ok": false, "error_code", "description", "parameters"?}`.

    `code` is the HTTP status as well. `parameters` are Telegram's ResponseParameters, if it has any.
    """

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def body(self) -> dict[str, object]:
        """Return the JSON body that Telegram would send."""
        body: dict[str, object] = {"ok": False, "error_code": self.code, "description": self.description}
        if self.parameters:
            body["parameters"] = self.parameters
        return body


def bad_request(reason: str) -> ApiError:
    """Return a 400 with Telegram's usual prefix."""
    return ApiError(400, f"Bad Request: {reason}")
