"""Why a broker can't be used though it is there: who refuses whom, and what to do about it."""

from __future__ import annotations

import re
import ssl

from pika import exceptions

from imgbatch.broker.address import Address
from imgbatch.errors import BrokerError, Code

ACCESS_REFUSED = 403
NOT_ALLOWED = 530
_X509_EXPIRED = 10
_X509_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)
_X509_OTHER_HOST = (62, 64)
"""OpenSSL's results of a verification, from its x509_vfy.h."""


def untrusted(address: Address, error: ssl.SSLCertVerificationError) -> BrokerError:
    """Return the failure of a broker whose certificate does not prove that it is the right one."""
    why = f"can't be trusted: {error.verify_message}"
    if error.verify_code == _X509_EXPIRED:
        why = "has expired; have it renewed there"
    elif error.verify_code in _X509_OTHER_HOST:
        why = "is for another host; correct --broker, or have a certificate made for this name"
    elif error.verify_code in _X509_UNKNOWN_AUTHORITY:
        why = "is signed by no authority that is trusted here; name its authority with --tls-ca"
    return BrokerError(Code.BROKER_UNTRUSTED, f"the certificate of the broker at {address} {why}")


def may_be_refusal(cause: BaseException) -> bool:
    """Whether a broker seems to have refused us, or may just as well be going down."""
    return isinstance(
        cause, exceptions.ProbableAuthenticationError | exceptions.ProbableAccessDeniedError
    )


def is_refusal(cause: BaseException) -> bool:
    """Whether a broker has refused us, and said so."""
    code = getattr(cause, "reply_code", 0)
    return (
        code in (ACCESS_REFUSED, NOT_ALLOWED)
        or isinstance(cause, exceptions.AuthenticationError)
        or bool(_certificate_alert(cause))
    )


def _certificate_alert(cause: BaseException) -> str:
    """Return what a broker says of our certificate.

    In TLS 1.3 that comes after our side of the handshake is done, so to pika it looks as if the
    broker spoke another protocol than AMQP; the alert is known from OpenSSL's words alone. A broker
    that hangs up before they are read is tried again.
    """
    if not isinstance(cause, exceptions.IncompatibleProtocolError):
        return ""
    alert = re.search(r" alert ([a-z ]*certificate[a-z ]*|unknown ca)\b", str(cause))
    return alert[1].strip() if alert else ""


def refused(address: Address, cause: BaseException) -> BrokerError:
    """Return the failure of a broker that does not let us in."""
    why = "refuses the connection: check user and password"
    if getattr(cause, "reply_code", 0) == NOT_ALLOWED:
        text = getattr(cause, "reply_text", "")
        why = (
            f"refuses the connection: {text}; check the virtual host, and that the user may use it"
        )
    elif isinstance(cause, exceptions.IncompatibleProtocolError):
        alert = re.search(r"alert ([a-z ]+)", str(cause))
        why = "refuses the certificate of --tls-cert, or wants one"
        why += f": {alert[1].strip()}" if alert else ""
    elif address.is_by_certificate:
        why = (
            "refuses the connection: check that its plugin rabbitmq_auth_mechanism_ssl is enabled, "
            "and that the common name of the certificate is a user's"
        )
    return BrokerError(Code.BROKER_REFUSED, f"the broker at {address} {why}")
