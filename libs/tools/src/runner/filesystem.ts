import { constants } from 'node:fs';
import { lstat, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { inDirectory, inParent, pathParts, type Directory } from './directory';
import { RunnerError, type RunnerResult } from './messages';
import { matchingLines, matchingPaths } from './search';

const READ_BYTES = 1024 * 1024;
const MAX_ENTRIES = 10_000;
/** Entries looked at in one walk, and folders inside folders: each level holds a file descriptor. */
const MAX_VISITED = 200_000;
const MAX_DEPTH = 64;
const { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = constants;

/** A filesystem step's arguments, validated when the turn was accepted. */
type Args = Readonly<Record<string, unknown>> & { readonly op: string };

/** Asked right before a change takes its place: whether it still may. */
type StillOurs = () => boolean;

/** Carries out one filesystem operation inside the workspace. @throws {RunnerError} a refusal with a stable code */
export async function runFilesystem(root: string, args: Args, stillOurs: StillOurs): Promise<RunnerResult> {
  const path = typeof args['path'] === 'string' ? args['path'] : '.';
  switch (args.op) {
    case 'read':
      return read(root, path, args as { offset?: number; limit?: number });
    case 'write':
      return write(
        root,
        path,
        Buffer.from(String(args['content']), args['encoding'] === 'base64' ? 'base64' : 'utf8'),
        stillOurs,
      );
    case 'edit':
      return edit(root, path, args as unknown as EditArgs, stillOurs);
    case 'list':
      return list(root, path);
    case 'glob':
      return glob(root, path, String(args['pattern']));
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
async function write(root: string, path: string, bytes: Buffer, stillOurs: StillOurs): Promise<RunnerResult> {
  return inParent(root, path, (parent, name) => replace(parent, name, bytes, stillOurs), true);
}

async function replace(parent: Directory, name: string, bytes: Buffer, stillOurs: StillOurs): Promise<RunnerResult> {
  const mode = await modeOfTarget(parent, name);
  const temporary = `.${randomUUID()}.new`;
  const file = await parent.file(temporary, O_WRONLY | O_CREAT | O_EXCL);
  try {
    try {
      await file.writeFile(bytes);
      if (mode !== undefined) await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    if (!stillOurs()) throw new RunnerError('stale_token', 'a later holder of the conversation has been here');
    await rename(join(parent.path, temporary), join(parent.path, name));
  } catch (error) {
    await rm(join(parent.path, temporary), { force: true });
    throw error;
  }
  await parent.sync();
  return { size_bytes: bytes.length };
}

/** The permissions a replaced file keeps. A hard link may be the other name of a file outside; writing to it is writing there. */
async function modeOfTarget(parent: Directory, name: string): Promise<number | undefined> {
  const stat = await lstat(join(parent.path, name)).catch(() => undefined);
  if (!stat) return undefined;
  if (stat.isSymbolicLink()) throw new RunnerError('symlink_refused', `${name} is a symbolic link`);
  if (!stat.isFile()) throw new RunnerError('not_a_file', `${name} is not a regular file`);
  if (stat.nlink > 1) throw new RunnerError('hardlink_refused', `${name} has more than one name`);
  return stat.mode & 0o777;
}

interface EditArgs {
  readonly old_text: string;
  readonly new_text: string;
  readonly replace_all?: boolean;
}

async function edit(
  root: string,
  path: string,
  { old_text, new_text, replace_all }: EditArgs,
  stillOurs: StillOurs,
): Promise<RunnerResult> {
  const { bytes, size } = await readBytes(root, path);
  if (size > bytes.length) throw new RunnerError('too_large', `${path} has more than ${READ_BYTES} bytes`);
  const text = bytes.toString('utf8');
  if (!bytes.equals(Buffer.from(text))) throw new RunnerError('not_text', `${path} is not UTF-8 text`);
  const count = text.split(old_text).length - 1;
  if (count === 0) throw new RunnerError('no_match', `old_text does not occur in ${path}`);
  if (count > 1 && !replace_all) throw new RunnerError('ambiguous_match', `old_text occurs ${count} times in ${path}`);
  await write(root, path, Buffer.from(text.split(old_text).join(new_text)), stillOurs);
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

async function glob(root: string, path: string, pattern: string): Promise<RunnerResult> {
  const { paths, truncated } = await walk(root, pathParts(path));
  return { paths: await matchingPaths(paths, pattern), truncated };
}

interface Walked {
  readonly paths: string[];
  /** There was more than a walk may look at. */
  readonly truncated: boolean;
}

/** The regular files below a directory, as paths relative to it, sorted. Links are not followed. */
async function walk(root: string, parts: readonly string[]): Promise<Walked> {
  const paths: string[] = [];
  let visited = 0;
  let truncated = false;
  const visit = async (directory: Directory, prefix: string, depth: number): Promise<void> => {
    for (const entry of await readdir(directory.path, { withFileTypes: true })) {
      visited += 1;
      truncated ||= paths.length >= MAX_ENTRIES || visited > MAX_VISITED;
      if (truncated) return;
      if (entry.isFile()) paths.push(prefix + entry.name);
      else if (entry.isDirectory()) await visitChild(directory, entry.name, `${prefix}${entry.name}/`, depth + 1);
    }
  };
  const visitChild = async (parent: Directory, name: string, prefix: string, depth: number): Promise<void> => {
    if (depth > MAX_DEPTH) return void (truncated = true);
    // It may be gone, or a link, by now; then there is nothing of ours in it.
    const child = await parent.enter(name).catch(() => undefined);
    if (!child) return;
    try {
      await visit(child, prefix, depth);
    } finally {
      await child.close();
    }
  };
  await inDirectory(root, parts, (directory) => visit(directory, '', 0));
  return { paths: paths.sort(), truncated };
}

interface GrepArgs {
  readonly pattern: string;
  readonly glob?: string;
  readonly ignore_case?: boolean;
}

async function grep(root: string, path: string, args: GrepArgs): Promise<RunnerResult> {
  const parts = pathParts(path);
  const isFile = await inParent(root, path, (parent, name) =>
    lstat(join(parent.path, name)).then((stat) => stat.isFile()),
  ).catch(() => false);
  const { paths, truncated } = isFile ? { paths: [''], truncated: false } : await walk(root, parts);
  const wanted = isFile || args.glob === undefined ? paths : await matchingPaths(paths, args.glob);
  const files: { path: string; text: string }[] = [];
  let total = 0;
  for (const relative of wanted) {
    const full = [...parts, ...(relative ? [relative] : [])].join('/');
    const content = await readBytes(root, full).catch(() => undefined);
    if (!content || content.bytes.includes(0)) continue; // gone, or binary
    total += content.bytes.length;
    if (total > 32 * READ_BYTES)
      throw new RunnerError('too_large', `more than ${32 * READ_BYTES} bytes to search; narrow it with path or glob`);
    files.push({ path: full, text: content.bytes.toString('utf8') });
  }
  const found = await matchingLines(files, args.pattern, args.ignore_case === true);
  return { ...found, truncated: truncated || found['truncated'] === true };
}
