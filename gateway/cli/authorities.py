"""The authorities' private keys, where a command may use them: never from inside the gateway."""

from pathlib import Path

from cryptography import x509

from gateway.config import ConfigError
from gateway.deployment import Deployment
from gateway.founding import AUTHORITY_KEY, CA_CERTIFICATE, CA_KEY
from gateway.identity.certificates import CertificateAuthority
from gateway.identity.keyfiles import read_tls_key


def certificate_authority(deployment: Deployment, directory: Path | None) -> CertificateAuthority:
    """Return the authority for certificates: the one named, else the development one.

    Args:
        deployment: The deployment.
        directory: Folder with `ca.key` and `ca.pem`, or None.

    Raises:
        ConfigError: `NO_AUTHORITY` when there is none.
        KeyFileError: Its key can't be used.
    """
    folder = directory or deployment.dev_authority
    try:
        pem = (folder / CA_CERTIFICATE).read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
    except (OSError, ValueError):
        raise ConfigError(
            "NO_AUTHORITY",
            "no authority for certificates is at hand",
            hints=(
                "name its folder with --ca DIR",
                "or pin a certificate that your authority issued: xinguan party certificate pin",
            ),
        ) from None
    return CertificateAuthority(read_tls_key(folder / CA_KEY), certificate)


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
