"""Write a kubeconfig file that needs no other file."""

from base64 import b64encode
from pathlib import Path

import yaml


def write_kubeconfig(path: Path, server: str, certificates: Path, client: str) -> None:
    """`client` names a certificate and key in the folder `certificates`."""

    def embedded(file: str) -> str:
        return b64encode((certificates / file).read_bytes()).decode()

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [
            {
                "name": "test",
                "cluster": {"server": server, "certificate-authority-data": embedded("ca.crt")},
            }
        ],
        "users": [
            {
                "name": client,
                "user": {
                    "client-certificate-data": embedded(f"{client}.crt"),
                    "client-key-data": embedded(f"{client}.key"),
                },
            }
        ],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": client}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))
