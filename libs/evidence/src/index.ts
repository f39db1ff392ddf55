export { ArtifactStore, type ArtifactReader } from './artifact-store';
export type { NewArtifact } from './artifact-record';
export {
  BlobCorruptError,
  BlobMismatchError,
  BlobMissingError,
  BlobStoreFullError,
  BlobTooLargeError,
} from './blob-store';
export type { BlobStore, ByteRange, Bytes, ExpectedBlob, SweptBlobStore } from './blob-store';
export { DirectoryBlobStore } from './directory-blob-store';
export { walkOldArtifacts } from './artifact-retention';
export { BlobRetention } from './blob-retention';
export { DirectoryBlobSweep } from './directory-blob-sweep';
