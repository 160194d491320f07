"""The HTTP face of the endpoint. Not built yet; it will know nothing but the contract."""
