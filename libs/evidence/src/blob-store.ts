import type { Readable } from 'node:stream';

/** Bytes to store: at once, or as they come. */
export type Bytes = Uint8Array | AsyncIterable<Uint8Array>;

/** What a stored blob is known by. */
export interface BlobInfo {
  /** Lower-case hex of the content's SHA-256. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** Bytes `start` … `end`, both included, as HTTP counts them; to the end when `end` is absent. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number;
}

/** An open blob. Whoever opened it reads `stream` to its end or destroys it. */
export interface OpenBlob {
  readonly size: number;
  /** Fails with a `BlobCorruptError` at its end when the whole blob was read and is not what its name says. */
  readonly stream: Readable;
}

/**
 * Where the bytes of artifacts lie, under the hash of their content. Tenants share nothing, not even equal bytes: a hash
 * must not tell one tenant what another has. Storing the same bytes twice is one blob.
 */
export interface BlobStore {
  /** Stores bytes; they survive a crash from the moment this returns. @throws {BlobTooLargeError} */
  put(tenantId: string, bytes: Bytes): Promise<BlobInfo>;
  /** @returns `undefined` where there is no such blob. @throws {RangeError} for a range outside it */
  open(tenantId: string, sha256: string, range?: ByteRange): Promise<OpenBlob | undefined>;
  /** Removes the bytes; nothing happens where there are none. */
  delete(tenantId: string, sha256: string): Promise<void>;
}

/** A blob by its place. */
export interface StoredBlob {
  readonly tenantId: string;
  readonly sha256: string;
}

/** A blob store is looked through in so many parts, by the first two hex digits of hashes. */
export const BLOB_PARTS = 256;

/** What a sweep asks of a blob store. Storing bytes again counts as storing them. */
export interface SweptBlobStore {
  /** What was last stored more than `olderThanMs` ago, in one of the parts. */
  listOlder(part: number, olderThanMs: number): AsyncIterable<StoredBlob>;
  /** Removes a blob, unless it has been stored again meanwhile: whoever did so relies on it. True = it is gone. */
  deleteOlder(blob: StoredBlob, olderThanMs: number): Promise<boolean>;
  /** Clears away what crashes left beside the blobs, of the same age. Returns how many files. */
  clearDebris(olderThanMs: number): Promise<number>;
}

/** What is stored under a hash has another one. Terminal: the bytes are damaged. */
export class BlobCorruptError extends Error {
  readonly code = 'blob_corrupt';

  constructor(readonly sha256: string) {
    super(`the stored bytes of ${sha256} do not match their hash`);
  }
}

/** More bytes came than one blob may have. Terminal; nothing was stored. */
export class BlobTooLargeError extends Error {
  readonly code = 'blob_too_large';

  constructor(readonly maxBytes: number) {
    super(`an artifact may have at most ${maxBytes} bytes`);
  }
}
