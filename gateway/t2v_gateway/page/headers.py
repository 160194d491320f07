"""What the page's answers tell the browser to refuse."""

from urllib.parse import urlsplit

from t2v_operator.config import BucketStorage, EmbeddedStorage, OperatorConfig

ANYWHERE = "https: http:"


def headers(config: OperatorConfig) -> dict[str, str]:
    """Of every answer. Scripts, styles and connections are the gateway's own, and nobody's else."""
    store = media_sources(config)
    policy = (
        "default-src 'self'",
        f"img-src 'self' {store}",
        f"media-src 'self' {store}",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }


def media_sources(config: OperatorConfig) -> str:
    """Where pictures and videos may come from: the store, where its address is known before.

    A store behind a Service has the address that the cluster gives it, and a cloud's links begin
    as the cloud likes: then from anywhere.
    """
    storage = config.storage
    if isinstance(storage, EmbeddedStorage) and storage.service:
        return ANYWHERE
    if isinstance(storage, BucketStorage) and storage.url is None:
        return ANYWHERE
    parts = urlsplit(storage.url or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ANYWHERE
