export { describeBlobStore, type TestedBlobs } from './blob-store-conformance';
export { S3Server } from './s3-server';
export { SmallDisk } from './small-disk';
