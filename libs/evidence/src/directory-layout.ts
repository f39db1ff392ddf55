import { join } from 'node:path';

/** Beside a tenant's blobs: those that are being written, and those on their way out. */
export const INCOMING = 'incoming';
export const LEAVING = 'leaving';

/** Where a tenant's blobs lie. @throws {TypeError} for an id that is none */
export function tenantPath(root: string, tenantId: string): string {
  if (!/^[0-9A-Za-z-]{1,64}$/.test(tenantId)) throw new TypeError('a tenant id names no path');
  return join(root, tenantId);
}

/** Where a blob lies. @throws {TypeError} for an id or hash that is none */
export function blobPath(root: string, tenantId: string, sha256: string): string {
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new TypeError('a blob is named by a SHA-256 in lower-case hex');
  return join(tenantPath(root, tenantId), sha256.slice(0, 2), sha256);
}

/** For `catch`: a file that is not there is an answer. */
export function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
