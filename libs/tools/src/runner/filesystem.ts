import { constants } from 'node:fs';
import { lstat, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import picomatch from 'picomatch';
import { inDirectory, inParent, pathParts, type Directory } from './directory';
import { grepFiles } from './grep';
import { RunnerError, type RunnerResult } from './messages';

const READ_BYTES = 1024 * 1024;
const MAX_ENTRIES = 10_000;
const { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = constants;

/** A filesystem step's arguments, validated when the turn was accepted. */
type Args = Readonly<Record<string, unknown>> & { readonly op: string };

/** Carries out one filesystem operation inside the workspace. @throws {RunnerError} a refusal with a stable code */
export async function runFilesystem(root: string, args: Args): Promise<RunnerResult> {
  const path = typeof args['path'] === 'string' ? args['path'] : '.';
  switch (args.op) {
    case 'read':
      return read(root, path, args as { offset?: number; limit?: number });
    case 'write':
      return write(root, path, Buffer.from(String(args['content']), args['encoding'] === 'base64' ? 'base64' : 'utf8'));
    case 'edit':
      return edit(root, path, args as unknown as EditArgs);
    case 'list':
      return list(root, path);
    case 'glob':
      return { paths: await glob(root, path, String(args['pattern'])) };
    case 'grep':
      return grep(root, path, args as unknown as GrepArgs);
    default:
      throw new RunnerError('not_executable', `the filesystem operation ${args.op} is not known here`);
  }
}

async function read(
  root: string,
  path: string,
  { offset, limit }: { offset?: number; limit?: number },
): Promise<RunnerResult> {
  const { bytes, size } = await readBytes(root, path);
  const text = bytes.toString('utf8').replaceAll('\u0000', '');
  const truncated = size > bytes.length;
  if (offset === undefined && limit === undefined) return { output: text, size_bytes: size, truncated };
  const first = Math.max(1, offset ?? 1) - 1;
  const lines = text.split('\n').slice(first, limit === undefined ? undefined : first + limit);
  return { output: lines.join('\n'), size_bytes: size, truncated };
}

async function readBytes(root: string, path: string): Promise<{ bytes: Buffer; size: number }> {
  return inParent(root, path, async (parent, name) => {
    const file = await parent.file(name, O_RDONLY);
    try {
      const { size } = await file.stat();
      const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(size, READ_BYTES)), 0, undefined, 0);
      return { bytes: buffer.subarray(0, bytesRead), size };
    } finally {
      await file.close();
    }
  });
}

/** Replaces the file whole: a reader sees the old content or the new, and a crash leaves one of them. */
async function write(root: string, path: string, bytes: Buffer): Promise<RunnerResult> {
  return inParent(
    root,
    path,
    async (parent, name) => {
      await refuseUnsafeTarget(parent, name);
      const temporary = `.${randomUUID()}.new`;
      const file = await parent.file(temporary, O_WRONLY | O_CREAT | O_EXCL);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } catch (error) {
        await rm(join(parent.path, temporary), { force: true });
        throw error;
      } finally {
        await file.close();
      }
      await rename(join(parent.path, temporary), join(parent.path, name));
      await parent.sync();
      return { size_bytes: bytes.length };
    },
    true,
  );
}

/** A hard link may be the other name of a file outside; writing to it is writing there. */
async function refuseUnsafeTarget(parent: Directory, name: string): Promise<void> {
  const stat = await lstat(join(parent.path, name)).catch(() => undefined);
  if (!stat) return;
  if (stat.isSymbolicLink()) throw new RunnerError('symlink_refused', `${name} is a symbolic link`);
  if (!stat.isFile()) throw new RunnerError('not_a_file', `${name} is not a regular file`);
  if (stat.nlink > 1) throw new RunnerError('hardlink_refused', `${name} has more than one name`);
}

interface EditArgs {
  readonly old_text: string;
  readonly new_text: string;
  readonly replace_all?: boolean;
}

async function edit(root: string, path: string, { old_text, new_text, replace_all }: EditArgs): Promise<RunnerResult> {
  const { bytes, size } = await readBytes(root, path);
  if (size > bytes.length) throw new RunnerError('too_large', `${path} has more than ${READ_BYTES} bytes`);
  const text = bytes.toString('utf8');
  if (!bytes.equals(Buffer.from(text))) throw new RunnerError('not_text', `${path} is not UTF-8 text`);
  const count = text.split(old_text).length - 1;
  if (count === 0) throw new RunnerError('no_match', `old_text does not occur in ${path}`);
  if (count > 1 && !replace_all) throw new RunnerError('ambiguous_match', `old_text occurs ${count} times in ${path}`);
  await write(root, path, Buffer.from(text.split(old_text).join(new_text)));
  return { replacements: count };
}

async function list(root: string, path: string): Promise<RunnerResult> {
  return inDirectory(root, pathParts(path), async (directory) => {
    const entries = await readdir(directory.path, { withFileTypes: true });
    const named = entries.map((entry) => ({ name: entry.name, kind: kindOf(entry) }));
    named.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { entries: named.slice(0, MAX_ENTRIES), truncated: named.length > MAX_ENTRIES };
  });
}

function kindOf(entry: { isFile(): boolean; isDirectory(): boolean; isSymbolicLink(): boolean }): string {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  return entry.isSymbolicLink() ? 'symlink' : 'other';
}

async function glob(root: string, path: string, pattern: string): Promise<string[]> {
  const matches = picomatch(pattern, { dot: true });
  return (await walk(root, pathParts(path))).filter((found) => matches(found));
}

/** The regular files below a directory, as paths relative to it, sorted. Links are not followed. */
async function walk(root: string, parts: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  const visit = async (directory: Directory, prefix: string): Promise<void> => {
    for (const entry of await readdir(directory.path, { withFileTypes: true })) {
      if (found.length >= MAX_ENTRIES) return;
      if (entry.isFile()) found.push(prefix + entry.name);
      if (!entry.isDirectory()) continue;
      // It may be gone, or a link, by now; then there is nothing of ours in it.
      const child = await directory.enter(entry.name).catch(() => undefined);
      if (!child) continue;
      try {
        await visit(child, `${prefix}${entry.name}/`);
      } finally {
        await child.close();
      }
    }
  };
  await inDirectory(root, parts, (directory) => visit(directory, ''));
  return found.sort();
}

interface GrepArgs {
  readonly pattern: string;
  readonly glob?: string;
  readonly ignore_case?: boolean;
}

async function grep(root: string, path: string, args: GrepArgs): Promise<RunnerResult> {
  const matches = args.glob === undefined ? undefined : picomatch(args.glob, { dot: true });
  const parts = pathParts(path);
  const isFile = await inParent(root, path, (parent, name) =>
    lstat(join(parent.path, name)).then((stat) => stat.isFile()),
  ).catch(() => false);
  const paths = isFile ? [''] : (await walk(root, parts)).filter((found) => !matches || matches(found));
  const files: { path: string; text: string }[] = [];
  let total = 0;
  for (const relative of paths) {
    const full = [...parts, ...(relative ? [relative] : [])].join('/');
    const content = await readBytes(root, full).catch(() => undefined);
    if (!content || content.bytes.includes(0)) continue; // gone, or binary
    total += content.bytes.length;
    if (total > 32 * READ_BYTES)
      throw new RunnerError('too_large', `more than ${32 * READ_BYTES} bytes to search; narrow it with path or glob`);
    files.push({ path: full, text: content.bytes.toString('utf8') });
  }
  return grepFiles(files, args.pattern, args.ignore_case === true);
}
