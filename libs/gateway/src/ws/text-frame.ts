/** First byte: a text frame, and the last one of its message. */
const FINAL_TEXT = 0x81;
const MAX_SHORT = 125;
const MAX_16_BIT = 0xffff;
const LENGTH_16_BIT = 126;
const LENGTH_64_BIT = 127;

/**
 * The bytes of a text message as a server sends it: one frame, unmasked (RFC 6455, 5.2). `ws` makes the same header for every
 * socket it sends to; made here once, an event is one write of one buffer to each of them.
 * @param text UTF-8
 */
export function textFrame(text: Buffer): Buffer {
  return Buffer.concat([headerOf(text.length), text]);
}

function headerOf(length: number): Buffer {
  if (length <= MAX_SHORT) return Buffer.from([FINAL_TEXT, length]);
  if (length <= MAX_16_BIT) {
    const header = Buffer.from([FINAL_TEXT, LENGTH_16_BIT, 0, 0]);
    header.writeUInt16BE(length, 2);
    return header;
  }
  const header = Buffer.from([FINAL_TEXT, LENGTH_64_BIT, 0, 0, 0, 0, 0, 0, 0, 0]);
  header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}
