"""Why a request is refused, as status, code and one line."""


class Wrong(Exception):
    """A request that is refused; the message is for the client."""

    def __init__(self, message: str, code: str = "invalid_value", status: int = 400) -> None:
        """Take OpenAI's code of the error and HTTP's."""
        super().__init__(message)
        self.code, self.status = code, status
