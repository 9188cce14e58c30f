"""The authorities' private keys, where a command may use them: never from inside the gateway."""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from gateway.config import ConfigError
from gateway.deployment import Deployment
from gateway.founding import AUTHORITY_KEY, CA_CERTIFICATE, CA_KEY
from gateway.identity.certificates import DAY_S, CertificateAuthority, CertificateError
from gateway.identity.keyfiles import KeyFileError, read_tls_key


def certificate_authority(
    deployment: Deployment, directory: Path | None, now: int, days: int
) -> CertificateAuthority:
    """Return the authority for certificates: the one named, else the development one.

    Args:
        deployment: The deployment.
        directory: Folder with `ca.key` and `ca.pem`, or None.
        now: Unix seconds.
        days: For how long a certificate will be issued: no client trusts one that outlives
            its authority.

    Raises:
        ConfigError: `NO_AUTHORITY` when there is none.
        KeyFileError: Its key can't be used, or is another one than its certificate's.
        CertificateError: `BAD_CERTIFICATE` when it isn't valid for all that time.
    """
    folder = directory or deployment.dev_authority
    try:
        pem = (folder / CA_CERTIFICATE).read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
        public_key = certificate.public_key()
    except (OSError, ValueError, UnsupportedAlgorithm):
        raise ConfigError(
            "NO_AUTHORITY",
            "no authority for certificates is at hand",
            hints=(
                "name its folder with --ca DIR",
                "or pin a certificate that your authority issued: xinguan party certificate pin",
            ),
        ) from None
    key = read_tls_key(folder / CA_KEY)
    if key.public_key() != public_key:
        raise KeyFileError("BAD_KEY", f"{CA_KEY} is not the key of {CA_CERTIFICATE}")
    if now < certificate.not_valid_before_utc.timestamp():
        raise CertificateError("BAD_CERTIFICATE", f"{CA_CERTIFICATE} is not valid yet")
    left = int(certificate.not_valid_after_utc.timestamp() - now) // DAY_S
    if left < days:
        raise CertificateError(
            "BAD_CERTIFICATE",
            f"{CA_CERTIFICATE} ends before what it would sign",
            hints=(f"give --days of at most {left}" if left > 0 else "it has expired: renew it",),
        )
    return CertificateAuthority(key, certificate)


def authority_key_path(deployment: Deployment, path: Path | None) -> Path:
    """Return where the key that signs licences is: the one named, else the development one.

    Raises:
        ConfigError: `NO_AUTHORITY` when there is none.
    """
    found = path or deployment.dev_authority / AUTHORITY_KEY
    if not found.is_file():
        raise ConfigError(
            "NO_AUTHORITY",
            "the key that signs licences is not at hand",
            hints=(
                "name it with --authority-key FILE",
                "or give the document that the authority signed: --document FILE",
            ),
        )
    return found
