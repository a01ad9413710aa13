"""The device's own Ed25519 (RFC 8032) and SHA-512 (FIPS 180-4): stock MicroPython has neither."""
