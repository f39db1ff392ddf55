import type { Readable } from 'node:stream';

/** Bytes to store: at once, or as they come. */
export type Bytes = Uint8Array | AsyncIterable<Uint8Array>;

/** The largest blob, unless a store is told otherwise. */
export const MAX_BLOB_BYTES = 1024 * 1024 * 1024;

/** What a stored blob is known by. */
export interface BlobInfo {
  /** Lower-case hex of the content's SHA-256. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** What whoever stores a blob knows about it before. */
export interface ExpectedBlob {
  /** Lower-case hex; other bytes are refused. */
  readonly sha256?: string;
  /** More are refused, even where the store itself would take them. */
  readonly maxBytes?: number;
  /** As many are to come, as far as is known. */
  readonly size?: number;
  /** Asked once all bytes have come and before they are put into their place: what it throws refuses them. */
  readonly admit?: (blob: BlobInfo) => Promise<void>;
}

/** Bytes `start` … `end`, both included, as HTTP counts them; to the end when `end` is absent. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number;
}

/** An open blob. Whoever opened it reads `stream` to its end or destroys it. */
export interface OpenBlob {
  readonly size: number;
  /**
   * Of a whole blob the last piece is held back until all of it was found to be what its name says; else the stream fails
   * with a `BlobCorruptError`. So nobody ever gets a damaged blob to its end.
   */
  readonly stream: Readable;
}

/**
 * Where the bytes of artifacts lie, under the hash of their content. Tenants share nothing, not even equal bytes: a hash
 * must not tell one tenant what another has. Storing the same bytes twice is one blob.
 */
export interface BlobStore {
  /**
   * Stores bytes; they survive a crash from the moment this returns. What throws has stored nothing.
   * @throws {BlobTooLargeError} {BlobMismatchError} {BlobStoreFullError}
   */
  put(tenantId: string, bytes: Bytes, expected?: ExpectedBlob): Promise<BlobInfo>;
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

/** There are no bytes where a row says so: they are damaged, or lie where this process cannot see them. Terminal. */
export class BlobMissingError extends Error {
  readonly code = 'blob_missing';

  constructor(readonly sha256: string) {
    super(`the stored bytes of ${sha256} are not there`);
  }
}

/** Other bytes came than were announced. Terminal; nothing was stored. */
export class BlobMismatchError extends Error {
  readonly code = 'blob_mismatch';

  constructor(readonly sha256: string) {
    super(`the bytes that came have the SHA-256 ${sha256}, which is not the one that was announced`);
  }
}

/** There is no room. Retryable; nothing was stored. */
export class BlobStoreFullError extends Error {
  readonly code = 'blob_store_full';
  readonly retryAfterMs = 30_000;

  constructor(cause: unknown) {
    super('there is no room for more artifacts', { cause });
  }
}

/** The store cannot be reached, or not used as it is. Retryable; nothing was stored that counts. */
export class BlobStoreUnavailableError extends Error {
  readonly code = 'blob_store_unavailable';
  readonly retryAfterMs = 5_000;

  constructor(cause: unknown) {
    super('the blob store cannot be used now', { cause });
  }
}

/** More bytes came than one blob may have. Terminal; nothing was stored. */
export class BlobTooLargeError extends Error {
  readonly code = 'blob_too_large';

  constructor(readonly maxBytes: number) {
    super(`an artifact may have at most ${maxBytes} bytes`);
  }
}
