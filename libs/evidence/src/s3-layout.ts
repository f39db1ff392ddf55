/** Where a tenant's blobs lie, or one of them, in a bucket; ends with a slash. @throws {TypeError} for an id or hash that is none */
export function folderOf(tenantId: string, sha256?: string): string {
  if (!/^[0-9A-Za-z-]{1,64}$/.test(tenantId)) throw new TypeError('a tenant id names no folder');
  if (sha256 === undefined) return `${tenantId}/`;
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new TypeError('a blob is named by a SHA-256 in lower-case hex');
  return `${tenantId}/${sha256.slice(0, 2)}/${sha256}/`;
}

/** The hash in an object's key. */
export function sha256In(key: string): string | undefined {
  return /^[0-9A-Za-z-]{1,64}\/[0-9a-f]{2}\/([0-9a-f]{64})\/[0-9a-f-]{36}$/.exec(key)?.[1];
}
