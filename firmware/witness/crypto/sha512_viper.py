# ruff: noqa: F821  (ptr8, ptr32 and uint are viper's own names and types)
# mypy: ignore-errors
"""SHA-512's compression function (FIPS 180-4 section 6.4.2) as viper machine code.

Only importable where the virtual machine has a viper emitter, or the file was compiled for its architecture: elsewhere
the import fails (SyntaxError, or ValueError from a .mpy file), which is why this is a module of its own.

A 64-bit word is a pair of 32-bit halves (names ending in l and h). Viper's `uint` is as wide as the machine; on a
64-bit machine sums and left shifts leave dirt above bit 31, so whatever is shifted right or compared is masked first.
"""

import micropython

from .sha512_constants import K

_W = bytearray(128)  # the last 16 words of the message schedule, a ring
_MASK = 0xFFFFFFFF


@micropython.viper
def compress(state: ptr32, octets: ptr8, start: int):
    """Work the block octets[start : start + 128] into `state` (64 octets: eight little-endian 64-bit words)."""
    k = ptr8(K)  # octet for octet: read in place they need not be aligned, and an unaligned word faults on a Cortex-M0+
    w = ptr32(_W)
    m = uint(_MASK)
    i = 0
    while i < 32:  # the message is big-endian: the high half comes first
        w[i ^ 1] = (octets[start] << 24) | (octets[start + 1] << 16) | (octets[start + 2] << 8) | octets[start + 3]
        start += 4
        i += 1
    al = uint(state[0])
    ah = uint(state[1])
    bl = uint(state[2])
    bh = uint(state[3])
    cl = uint(state[4])
    ch = uint(state[5])
    dl = uint(state[6])
    dh = uint(state[7])
    el = uint(state[8])
    eh = uint(state[9])
    fl = uint(state[10])
    fh = uint(state[11])
    gl = uint(state[12])
    gh = uint(state[13])
    hl = uint(state[14])
    hh = uint(state[15])
    i = 0
    while i < 160:  # two halves a round
        j = i & 31
        wl = uint(w[j])
        wh = uint(w[j + 1])
        if i >= 32:  # w[t] = w[t-16] + sigma0(w[t-15]) + w[t-7] + sigma1(w[t-2])
            n = (i + 2) & 31
            xl = uint(w[n])
            xh = uint(w[n + 1])
            tl = ((xl >> 1 | xh << 31) ^ (xl >> 8 | xh << 24) ^ (xl >> 7 | xh << 25)) & m
            wl = (wl + tl) & m
            wh += (xh >> 1 | xl << 31) ^ (xh >> 8 | xl << 24) ^ (xh >> 7)
            wh += uint(wl < tl)
            n = (i + 18) & 31
            xl = uint(w[n])
            wl = (wl + xl) & m
            wh += uint(w[n + 1]) + uint(wl < xl)
            n = (i + 28) & 31
            xl = uint(w[n])
            xh = uint(w[n + 1])
            tl = ((xl >> 19 | xh << 13) ^ (xh >> 29 | xl << 3) ^ (xl >> 6 | xh << 26)) & m
            wl = (wl + tl) & m
            wh += (xh >> 19 | xl << 13) ^ (xl >> 29 | xh << 3) ^ (xh >> 6)
            wh += uint(wl < tl)
            w[j] = int(wl)
            w[j + 1] = int(wh)
        # t1 = h + Sigma1(e) + Ch(e, f, g) + k[t] + w[t], gathered in h
        hl = (hl + wl) & m
        hh += wh + uint(hl < wl)
        n = i << 2
        tl = uint(k[n] | k[n + 1] << 8 | k[n + 2] << 16 | k[n + 3] << 24)
        hl = (hl + tl) & m
        hh += uint(k[n + 4] | k[n + 5] << 8 | k[n + 6] << 16 | k[n + 7] << 24) + uint(hl < tl)
        tl = gl ^ (el & (fl ^ gl))
        hl = (hl + tl) & m
        hh += (gh ^ (eh & (fh ^ gh))) + uint(hl < tl)
        tl = ((el >> 14 | eh << 18) ^ (el >> 18 | eh << 14) ^ (eh >> 9 | el << 23)) & m
        hl = (hl + tl) & m
        hh += (eh >> 14 | el << 18) ^ (eh >> 18 | el << 14) ^ (el >> 9 | eh << 23)
        hh += uint(hl < tl)
        # t2 = Sigma0(a) + Maj(a, b, c), on top of t1
        tl = ((al >> 28 | ah << 4) ^ (ah >> 2 | al << 30) ^ (ah >> 7 | al << 25)) & m
        xl = (hl + tl) & m
        xh = hh + ((ah >> 28 | al << 4) ^ (al >> 2 | ah << 30) ^ (al >> 7 | ah << 25))
        xh += uint(xl < tl)
        tl = (al & bl) | (cl & (al | bl))
        xl = (xl + tl) & m
        xh += ((ah & bh) | (ch & (ah | bh))) + uint(xl < tl)
        # the eight words move on by one
        dl = (dl + hl) & m
        dh = (dh + hh + uint(dl < hl)) & m
        tl = dl
        wh = dh
        dl = cl
        dh = ch
        cl = bl
        ch = bh
        bl = al
        bh = ah
        al = xl
        ah = xh & m
        hl = gl
        hh = gh
        gl = fl
        gh = fh
        fl = el
        fh = eh
        el = tl
        eh = wh
        i += 2
    w[0] = int(al)
    w[1] = int(ah)
    w[2] = int(bl)
    w[3] = int(bh)
    w[4] = int(cl)
    w[5] = int(ch)
    w[6] = int(dl)
    w[7] = int(dh)
    w[8] = int(el)
    w[9] = int(eh)
    w[10] = int(fl)
    w[11] = int(fh)
    w[12] = int(gl)
    w[13] = int(gh)
    w[14] = int(hl)
    w[15] = int(hh)
    i = 0
    while i < 16:
        tl = uint(w[i])
        xl = (uint(state[i]) + tl) & m
        state[i] = int(xl)
        state[i + 1] = state[i + 1] + w[i + 1] + int(xl < tl)
        i += 2
