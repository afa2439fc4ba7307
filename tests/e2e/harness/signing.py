"""A key that signs plugins, as `plugins.keys` wants it."""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class Signer:
    """Signs; `public` is what trusts it."""

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = base64.b64encode(public).decode()

    def sign(self, data):
        """As it stands in `NAME.wasm.sig`, and among the annotations of a manifest."""
        return base64.b64encode(self.key.sign(data)).decode()
