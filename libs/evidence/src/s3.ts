/* What loads the S3 client: imported when it is configured. */
export { S3BlobStore } from './s3-blob-store';
export { S3BlobSweep } from './s3-blob-sweep';
export { S3Objects } from './s3-objects';
