import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { RunnerError, type WorkspaceRef } from './messages';

/** Where a conversation's workspace is, and the files the ToolRunner keeps about it where no tool can reach them. */
export interface WorkspacePaths {
  /** The agent's directory. */
  readonly root: string;
  /** Beside it: `<name>.fence`, `<name>.journal`. */
  readonly records: string;
}

/** The workspace's paths, created on demand, for nobody else's eyes. @throws {RunnerError} `invalid_agent` */
export function workspacePaths(
  workspaceRoot: string,
  { tenantId, agentKey, conversationKey }: WorkspaceRef,
): WorkspacePaths {
  for (const part of [tenantId, agentKey]) {
    // A dot in front would make `..` possible, and hides from nobody who looks.
    if (!/^[^./\\\p{Cc}][^/\\\p{Cc}]*$/u.test(part))
      throw new RunnerError('invalid_agent', `"${part}" cannot name a directory`);
  }
  const root = join(workspaceRoot, tenantId, agentKey);
  const recordsFolder = join(workspaceRoot, '.tyrum', tenantId, agentKey);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  mkdirSync(recordsFolder, { recursive: true, mode: 0o700 });
  const name = createHash('sha256').update(conversationKey).digest('hex').slice(0, 32);
  return { root, records: join(recordsFolder, name) };
}
