"""The certificates of authorities that a site's plan names: from the fleet folder onto a board.

`authority = "voxcloud"` of a target means authorities/voxcloud.pem of the fleet folder, one certificate in PEM;
the witness has it as /authority-voxcloud.der. A target without one takes whatever certificate the server shows, and
says so in its readings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from linewitness.errors import CannotDo
from linewitness.site import check_name

if TYPE_CHECKING:
    from linewitness.fleet import Fleet
    from linewitness.site import Site

FOLDER = "authorities"


def authority_files(fleet: Fleet, site: Site) -> dict[str, bytes]:
    """Return the files for a board, path -> DER. Raises CannotDo for one that is not there or no certificate."""
    names = sorted({target["authority"] for target in site.targets if "authority" in target})
    return {f"/authority-{name}.der": _certificate(fleet, name) for name in names}


def _certificate(fleet: Fleet, name: str) -> bytes:
    check_name("authority", name)
    path = fleet.root / FOLDER / f"{name}.pem"
    hint = "the certificate of the authority that signed the server's, in PEM"
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    except OSError as e:
        raise CannotDo(f"no certificate of the authority '{name}'", str(path), hint) from e
    except ValueError as e:
        raise CannotDo("no certificate in PEM", str(path), hint) from e
