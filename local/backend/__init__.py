"""The demo backend: a note service on ``field_encrypt`` that is under live reads and writes while a rotation runs."""
