"""Time stamps over anchors (RFC 3161), by the library `rfc3161-client` (extra `signing`).

This machine only writes the request and checks the response; sending is the custodian's, with any
tool: `curl -H 'Content-Type: application/timestamp-query' --data-binary @REQUEST URL`.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates

from tomogram.custody.verify import Check, Outcome
from tomogram.store.errors import TomogramError


def request(data: bytes) -> bytes:
    """The DER request to stamp these bytes. Raises TomogramError where the library is missing."""
    library = _library()
    built: bytes = library.TimestampRequestBuilder().data(data).build().as_bytes()
    return built


def check_stamp(response: Path, anchor: Path, authority: Path) -> Check:
    """Whether an authority that the reader trusts stamped this anchor, and when.

    authority: its root certificate, and those between, in one PEM file.
    Raises TomogramError where the library is missing or a file cannot be read.
    """
    library = _library()
    try:
        data, answer = anchor.read_bytes(), response.read_bytes()
        certificates = load_pem_x509_certificates(authority.read_bytes())
    except (OSError, ValueError) as error:
        raise TomogramError(f"The stamp could not be read: {error}.") from error
    builder = library.VerifierBuilder()
    for certificate in certificates:
        builder = builder.add_root_certificate(certificate)
    try:
        read = library.decode_timestamp_response(answer)
        builder.build().verify_message(read, data)
    except (ValueError, library.VerificationError) as error:
        reason = (str(error).splitlines() or ["it does not fit"])[0].rstrip(".")
        return Check("stamp", Outcome.DIFFERS, f"{reason}.")
    return Check("stamp", Outcome.REPRODUCED, f"stamped at {read.tst_info.gen_time}.")


def _library():  # type: ignore[no-untyped-def]  # a module
    try:
        import rfc3161_client
    except ImportError as error:
        raise TomogramError("Time stamps need an extra: pip install 'tomogram[signing]'.") from (
            error
        )
    return rfc3161_client
