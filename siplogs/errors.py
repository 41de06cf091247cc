"""The errors that siplogs raises on purpose: one small hierarchy, each with an exit code and a remedy in its text."""


class SiplogsError(Exception):
    """Anything that the user can mend; its text is one line that says what to do."""

    exit_code = 2


class SourceError(SiplogsError):
    """A log that cannot be found or read."""


class PackError(SiplogsError):
    """A pattern pack that is wrong; the text names file, entry and remedy."""


class KnowledgeError(SiplogsError):
    """Knowledge data that is wrong, or a question that no entry answers."""


class FilterError(SiplogsError):
    """A filter's value that cannot be understood."""


class ConfigError(SiplogsError):
    """A setting that is missing or wrong; the text names file, key and remedy."""


class DeliveryError(SiplogsError):
    """Elasticsearch or Kibana refused or could not be reached; `retry_after` is for how many seconds it wants peace."""

    exit_code = 3

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        """Take the text, and what the server asked for."""
        super().__init__(text)
        self.retry_after = retry_after


class StateError(SiplogsError):
    """The state database is locked, damaged, or cannot be written."""
