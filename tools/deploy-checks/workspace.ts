import { join } from 'node:path';

/** The workspace's root folder. */
export const root = join(__dirname, '..', '..');

/** An absolute path from one relative to the workspace's root. */
export function inWorkspace(...parts: string[]): string {
  return join(root, ...parts);
}
