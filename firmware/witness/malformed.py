"""One error for all protocols: on a board a class takes more memory than a function."""


class Malformed(ValueError):
    """The octets are not the packet, message or description that they should be; the message says why."""
