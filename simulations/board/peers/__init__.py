"""Peers for virtual time: no sockets, no threads, one object a server, made in a test and put into the board's network.

datagrams.py   time, DNS, SIP and session-reflector servers over the lab's own protocol code
broker.py      an MQTT broker
tls.py         TLS in front of a TCP peer
"""
