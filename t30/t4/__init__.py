"""The T.4 and T.6 image codec: pages of pels to MH, MR and MMR octets and back."""

from t30.t4.decode import Decoded, Decoder
from t30.t4.encode import encode, usual_k
from t30.t4.raster import Bitmap

__all__ = ["Bitmap", "Decoded", "Decoder", "encode", "usual_k"]
