export { ArtifactStore, type ArtifactStoreOptions, type NewArtifact, type OpenArtifact } from './artifact-store';
export { BlobCorruptError, BlobTooLargeError } from './blob-store';
export type { BlobInfo, BlobStore, ByteRange, Bytes, OpenBlob } from './blob-store';
export { DirectoryBlobStore } from './directory-blob-store';
export { walkOldArtifacts } from './artifact-retention';
