"""Makes a ciphertext that AES-GCM authenticates under two keys: the attack that a key commitment answers.

GCM's tag is linear in the ciphertext over GF(2^128), for a fixed key and nonce. So of two blocks the first is free, and
the second is the solution of one equation: both keys' tags are equal (Grubbs, Lu, Ristenpart: Message Franking via
Committing Authenticated Encryption, 2017).
"""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 16
_REDUCTION = 0xE1 << 120  # x^128 + x^7 + x^2 + x + 1, bits in GCM's order
_ONE = 1 << 127


def ciphertext_of_two_keys(first: bytes, second: bytes, nonce: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Return a ciphertext of two blocks and the one tag that it has under both keys."""
    free = int.from_bytes(b"\x5a" * BLOCK)
    keys = [(_subkey(key), _encrypted_block(key, nonce + b"\0\0\0\1")) for key in (first, second)]
    # tag = GHASH(data, free || x || lengths) + E(counter 1); x stands at H^2, everything else is known.
    known = [_ghash(subkey, data, [free, 0]) ^ mask for subkey, mask in keys]
    factors = [_product(subkey, subkey) for subkey, _ in keys]
    solution = _product(known[0] ^ known[1], _inverse(factors[0] ^ factors[1]))
    tag = known[0] ^ _product(solution, factors[0])
    return free.to_bytes(BLOCK) + solution.to_bytes(BLOCK), tag.to_bytes(BLOCK)


def _ghash(subkey: int, data: bytes, ciphertext: list[int]) -> int:
    padded = data + bytes(-len(data) % BLOCK)
    blocks = [int.from_bytes(padded[start : start + BLOCK]) for start in range(0, len(padded), BLOCK)]
    lengths = (len(data) * 8) << 64 | len(ciphertext) * BLOCK * 8
    state = 0
    for block in (*blocks, *ciphertext, lengths):
        state = _product(state ^ block, subkey)
    return state


def _subkey(key: bytes) -> int:
    return _encrypted_block(key, bytes(BLOCK))


def _encrypted_block(key: bytes, block: bytes) -> int:
    encryptor = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()  # noqa: S305 - the block cipher itself, as GCM uses it
    return int.from_bytes(encryptor.update(block))


def _product(one: int, other: int) -> int:
    result = 0
    for position in range(127, -1, -1):
        if one >> position & 1:
            result ^= other
        other = other >> 1 ^ (_REDUCTION if other & 1 else 0)
    return result


def _inverse(value: int) -> int:
    # value^(2^128 - 2), by squaring.
    result, power = _ONE, value
    for _ in range(127):
        power = _product(power, power)
        result = _product(result, power)
    return result
