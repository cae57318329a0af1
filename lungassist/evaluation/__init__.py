"""Tables of predictions, and the figures computed from them."""
