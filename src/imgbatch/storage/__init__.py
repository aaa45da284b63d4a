"""Objects in stores (S3, Google Cloud Storage, Azure): named, listed, read and written whole."""
