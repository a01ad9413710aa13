"""The signed record that witness and host share: deterministic CBOR, header and body, COSE_Sign1 framing, hash chain.

docs/wire-format.md is the authority; this package is its one implementation and runs unchanged on CPython and on
MicroPython. It imports struct, hashlib and collections only, does no I/O and knows no clock.
"""
