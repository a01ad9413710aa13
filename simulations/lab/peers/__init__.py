"""Unprivileged protocol ends on 127.0.0.1 that a witness or the host talks to: real packets, faults on request.

Each peer is one class with the same handle (simulations.lab.peers.peer.Peer): `start()`, `stop()`, `address`,
`set(...)`, `requests`. `python -m simulations.lab.peers` runs several in a process of their own.
"""
