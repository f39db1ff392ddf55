import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { BlobStoreUnavailableError, type BlobInfo, type ByteRange } from './blob-store';

/** A bucket of S3, or of what speaks like it. */
export interface S3Place {
  readonly bucket: string;
  readonly region: string;
  /** Absent: Amazon's own. With one, the bucket is a part of the path and not of the host name. */
  readonly endpoint?: string;
  /** Absent: what the SDK finds, such as the role of the machine. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: { reveal(): string } };
}

export interface S3Object {
  readonly key: string;
  readonly size: number;
  /** By the store's clock. */
  readonly storedAt: number;
}

const ATTEMPTS = 3;
/** The most that S3 gives. */
const PAGE_KEYS = 1_000;
const CONNECT_MS = 5_000;
/** Without a byte, not in all. */
const SILENCE_MS = 60_000;

const silent = (): void => undefined;
const SILENT = { trace: silent, debug: silent, info: silent, warn: silent, error: silent };

/** The few things that are asked of a bucket. What the network does is retried, then a `BlobStoreUnavailableError`. */
export class S3Objects {
  private readonly client: S3Client;

  /** @param pageKeys how many keys are asked for at a time */
  constructor(
    private readonly place: S3Place,
    private readonly pageKeys = PAGE_KEYS,
  ) {
    const { region, endpoint, credentials } = place;
    this.client = new S3Client({
      region,
      maxAttempts: ATTEMPTS,
      // Else it writes to the console what is an error of ours anyway.
      logger: SILENT,
      requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: SILENCE_MS },
      // Checksums of its own choice come as trailers, which not every store takes; ours is the SHA-256.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      ...(credentials === undefined
        ? {}
        : {
            credentials: {
              accessKeyId: credentials.accessKeyId,
              secretAccessKey: credentials.secretAccessKey.reveal(),
            },
          }),
    });
  }

  /** Objects whose key begins so, page by page. */
  async *list(prefix: string): AsyncGenerator<S3Object> {
    for (let token: string | undefined; ;) {
      const from = token === undefined ? {} : { ContinuationToken: token };
      const wanted = { Bucket: this.place.bucket, Prefix: prefix, MaxKeys: this.pageKeys, ...from };
      const page = await this.asked(() => this.client.send(new ListObjectsV2Command(wanted)));
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        yield { key: Key, size: Size, storedAt: LastModified?.getTime() ?? 0 };
      }
      token = page.NextContinuationToken;
      if (!page.IsTruncated || token === undefined) return;
    }
  }

  /**
   * The folders right below the top, each found by the first key behind the last one: a question a folder. Asking for common
   * prefixes would be one in all, but not every store that speaks S3 answers it.
   */
  async folders(): Promise<string[]> {
    const found: string[] = [];
    for (let after = ''; ;) {
      const wanted = { Bucket: this.place.bucket, MaxKeys: 1, ...(after === '' ? {} : { StartAfter: after }) };
      const { Contents } = await this.asked(() => this.client.send(new ListObjectsV2Command(wanted)));
      const key = Contents?.[0]?.Key;
      if (key === undefined) return found;
      const folder = key.slice(0, key.indexOf('/'));
      if (key.includes('/')) found.push(folder);
      // '0' is the character behind '/': nothing of this folder comes behind that.
      after = key.includes('/') ? `${folder}0` : key;
    }
  }

  /** Stores a file. The store checks the hash, where it can. */
  async put(key: string, path: string, { sha256, size }: BlobInfo): Promise<void> {
    const ChecksumSHA256 = Buffer.from(sha256, 'hex').toString('base64');
    for (let attempt = 1; ; attempt += 1) {
      // A stream cannot be sent twice, so the SDK does not try again by itself.
      const Body = createReadStream(path);
      const wanted = { Bucket: this.place.bucket, Key: key, Body, ContentLength: size, ChecksumSHA256 };
      try {
        await this.client.send(new PutObjectCommand(wanted));
        return;
      } catch (error) {
        if (attempt === ATTEMPTS || !isPassing(error)) throw new BlobStoreUnavailableError(error);
      } finally {
        Body.destroy();
      }
    }
  }

  /** @returns `undefined` where there is no such object */
  async get(key: string, range?: Required<ByteRange>): Promise<Readable | undefined> {
    const Range = range && `bytes=${range.start}-${range.end}`;
    const wanted = { Bucket: this.place.bucket, Key: key, ...(Range === undefined ? {} : { Range }) };
    try {
      const { Body } = await this.client.send(new GetObjectCommand(wanted));
      return Body as Readable;
    } catch (error) {
      if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404) return undefined;
      throw new BlobStoreUnavailableError(error);
    }
  }

  async delete(key: string): Promise<void> {
    await this.asked(() => this.client.send(new DeleteObjectCommand({ Bucket: this.place.bucket, Key: key })));
  }

  close(): void {
    this.client.destroy();
  }

  private async asked<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      throw new BlobStoreUnavailableError(error);
    }
  }
}

/** The network's doing, or the store's own trouble. */
function isPassing(error: unknown): boolean {
  const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
  return status === undefined || status >= 500 || status === 429;
}
