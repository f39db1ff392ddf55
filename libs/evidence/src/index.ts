export { ArtifactStore, type ArtifactStoreOptions, type NewArtifact, type OpenArtifact } from './artifact-store';
export { BlobCorruptError, BlobTooLargeError } from './blob-store';
export type { BlobInfo, BlobStore, ByteRange, Bytes, OpenBlob, SweptBlobStore } from './blob-store';
export { DirectoryBlobStore } from './directory-blob-store';
export { walkOldArtifacts } from './artifact-retention';
export { BlobRetention } from './blob-retention';
export { DirectoryBlobSweep } from './directory-blob-sweep';
