"""The T.4 and T.6 image codec."""
