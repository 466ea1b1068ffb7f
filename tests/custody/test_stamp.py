"""Time stamps, against an authority made with openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tomogram.custody.stamp import check_stamp, request
from tomogram.custody.verify import Outcome

pytest.importorskip("rfc3161_client", reason="the extra `signing` is not installed")
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing")

CONFIGURATION = """
[req]
distinguished_name = name
prompt = no
[name]
CN = authority
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[leaf]
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
default_tsa = clock
[clock]
serial = serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def openssl(folder: Path, line: str) -> None:
    subprocess.run(["openssl", *line.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A folder with a root certificate and a stamping certificate under it."""
    (tmp_path / "a.cnf").write_text(CONFIGURATION)
    (tmp_path / "serial").write_text("01\n")
    new = "req -x509 -newkey rsa:2048 -nodes -config a.cnf -days 30"
    openssl(tmp_path, f"{new} -extensions root -keyout root.pem -out root.crt -subj /CN=root")
    openssl(
        tmp_path,
        f"{new} -extensions leaf -keyout leaf.pem -out leaf.crt -subj /CN=clock"
        " -CA root.crt -CAkey root.pem",
    )
    return tmp_path


def test_a_stamp_over_an_anchor(authority: Path) -> None:
    anchor = authority / "anchor.json"
    anchor.write_text('{"rows": 8}')
    (authority / "query.tsq").write_bytes(request(anchor.read_bytes()))
    openssl(
        authority,
        "ts -reply -config a.cnf -queryfile query.tsq -signer leaf.crt -inkey leaf.pem"
        " -out reply.tsr",
    )
    reply, root = authority / "reply.tsr", authority / "root.crt"
    found = check_stamp(reply, anchor, root)
    assert found.outcome is Outcome.REPRODUCED, found.reason
    assert "stamped at 20" in found.reason
    anchor.write_text('{"rows": 7}')
    assert check_stamp(reply, anchor, root).outcome is Outcome.DIFFERS
    reply.write_bytes(b"no reply")
    assert check_stamp(reply, anchor, root).outcome is Outcome.DIFFERS
