const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** The device id for the SHA-256 of a DER SPKI public key: `dev_` + unpadded lower-case base32 (RFC 4648 alphabet). */
export function deviceIdOfDigest(sha256: Uint8Array): string {
  return `dev_${base32(sha256)}`;
}

function base32(bytes: Uint8Array): string {
  let text = '';
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32.charAt((buffer >> bits) & 31);
    }
    buffer &= (1 << bits) - 1;
  }
  return bits > 0 ? text + BASE32.charAt((buffer << (5 - bits)) & 31) : text;
}
