export { ArtifactStore, type ArtifactReader } from './artifact-store';
export type { NewArtifact } from './artifact-record';
export {
  BlobCorruptError,
  BlobMismatchError,
  BlobMissingError,
  BlobStoreFullError,
  BlobStoreUnavailableError,
  BlobTooLargeError,
} from './blob-store';
export type { BlobStore, ByteRange, Bytes, ExpectedBlob, SweptBlobStore } from './blob-store';
export { readStepArtifacts } from './step-artifacts';
export { measureBytes } from './blob-draft';
export { DirectoryBlobStore } from './directory-blob-store';
export { openBlobStore, openBlobSweep } from './open-blob-store';
export { walkOldArtifacts } from './artifact-retention';
export { pruneArtifactRooms, storedBytesByTenant, StoredBytesExceededError } from './stored-bytes';
export { BlobRetention } from './blob-retention';
export { DirectoryBlobSweep } from './directory-blob-sweep';
export { AuditKey, openAuditKey } from './audit/audit-key';
export { AuditBrokenError, AuditLog, type AuditLine } from './audit/audit-log';
export { AuditUpkeep, type SealObserver } from './audit/audit-upkeep';
export { noteAudit, type AuditNote } from './audit/note-audit';
