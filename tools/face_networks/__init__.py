"""Makes the face networks that ship with the package out of MediaPipe's, and runs MediaPipe's to compare with."""
