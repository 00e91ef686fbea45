"""TLS: who connects shows a certificate, and so does the node."""

from __future__ import annotations

import ssl
from pathlib import Path

import msgspec

from ivimkit.errors import OptionError

__all__ = ["TlsSettings"]


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The certificates of the node.

    Parameters
    ----------
    certificate : str
        File of its certificate, PEM, with those between it and the authority.
    key : str
        File of its private key, PEM, without a password.
    ca : str
        File of the authorities, PEM, that certify peers. Only those: not those of the system.
    check_host_names : bool
        Whether the certificate of a peer that is sent results must name its address.
    """

    certificate: str
    key: str
    ca: str
    check_host_names: bool = True

    def within(self, folder: Path) -> TlsSettings:
        """Return the same with paths that are relative to a folder made full."""
        return msgspec.structs.replace(
            self,
            certificate=str(folder / self.certificate),
            key=str(folder / self.key),
            ca=str(folder / self.ca),
        )

    def server(self) -> ssl.SSLContext:
        """Return the context of incoming connections: no certificate, no connection.

        Raises
        ------
        OptionError
            If a file is missing or is not what it should be.
        """
        return self._loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def client(self) -> ssl.SSLContext:
        """Return the context of outgoing connections.

        Raises
        ------
        OptionError
            If a file is missing or is not what it should be.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.check_host_names
        return self._loaded(context)

    def _loaded(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        for name in ("certificate", "key", "ca"):
            path = Path(getattr(self, name))
            if not path.is_file():
                raise OptionError(
                    f"{name} in [tls] is {str(path)!r}, which is not a file; expected one in PEM. "
                    "Check the path"
                )
        try:
            # With an empty password: without one, OpenSSL would wait for somebody to type it.
            context.load_cert_chain(self.certificate, self.key, password="")
            context.load_verify_locations(self.ca)
        except (ssl.SSLError, OSError) as error:
            raise OptionError(
                f"the files of [tls] cannot be used ({error}); expected a certificate, its "
                "private key without a password, and certificates of authorities, all in PEM"
            ) from None
        return context
