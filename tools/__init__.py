"""What engineers of this repository run by hand; no part of it is deployed or packaged."""
