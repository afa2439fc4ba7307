"""What a plugin answers when it cannot answer."""


class PluginError(Exception):
    """A failure that the plugin has noticed itself: it is counted, `on_failure` of the attachment
    applies, and the instance lives on. Raise one of the three below."""

    case = "internal"


class BadInput(PluginError):
    """The buffer is malformed, or a column that was asked for is not there."""

    case = "bad-input"


class NotReady(PluginError):
    """Something that the plugin needs is not there yet."""

    case = "not-ready"


class Internal(PluginError):
    """The plugin's own fault. Any other exception becomes this, too."""


class ConfigError(Exception):
    """What is wrong with a configuration: the JSON path of the value (`$.keys[2]`; `$` is the
    configuration itself), and why."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message
