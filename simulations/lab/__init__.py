"""Real packets on one machine, with faults in the packets' way and the truth of each packet kept.

impairment, link     one direction of a link as a pure model: what it does to packets, and the log of what it did
netns, wire          the branch, its ISP and its provider in network namespaces; the access link as a process (root)
peers                unprivileged protocol ends on 127.0.0.1: SIP, DNS, SNTP, status page, time-stamp authority, TCP
daemons, baselines   other people's servers and round-trip tools, to be judged against
tools                which outside programs this machine lacks, and what is left out without them
"""
