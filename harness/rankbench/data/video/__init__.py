"""Videos and frames: finding, decoding, framing and caching them."""
