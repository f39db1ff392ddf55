import { join } from 'node:path';
import type { BlobStore, SweptBlobStore } from './blob-store';
import { DirectoryBlobStore } from './directory-blob-store';
import { DirectoryBlobSweep } from './directory-blob-sweep';
import type { S3Place } from './s3-objects';

/** Where artifacts' bytes are to lie. */
export interface BlobPlace {
  /** Below it, unless they are in a bucket; then only what is on its way there. */
  readonly home: string;
  readonly s3?: S3Place;
}

/** The blob store of a deployment. The S3 client, which is large, is loaded where it is configured. */
export async function openBlobStore({ home, s3 }: BlobPlace): Promise<BlobStore> {
  const folder = join(home, 'artifacts');
  if (!s3) return new DirectoryBlobStore(folder);
  const { S3BlobStore, S3Objects } = await import(/* webpackMode: "eager" */ './s3');
  return new S3BlobStore(new S3Objects(s3), join(folder, 'spool'));
}

/** The same place, as a sweep sees it. */
export async function openBlobSweep({ home, s3 }: BlobPlace): Promise<SweptBlobStore> {
  if (!s3) return new DirectoryBlobSweep(join(home, 'artifacts'));
  const { S3BlobSweep, S3Objects } = await import(/* webpackMode: "eager" */ './s3');
  return new S3BlobSweep(new S3Objects(s3));
}
