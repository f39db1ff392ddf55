import { constants } from 'node:fs';
import { lstat, mkdir, open, realpath, type FileHandle } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { RunnerError } from './messages';

/** Without it a path would be resolved again by name at every step, and a symlink could be swapped in between. */
const HAS_PROC_FD = process.platform === 'linux';
const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/**
 * An open directory inside a workspace. Paths are walked one component at a time from an open directory to the next, never
 * following a symbolic link, so that nothing swapped in meanwhile can lead outside.
 */
export class Directory {
  private constructor(
    private readonly handle: FileHandle,
    /** Names the open directory itself, whatever happens to the path it was opened by. */
    readonly path: string,
  ) {}

  static async open(path: string): Promise<Directory> {
    // The agent's commands may have put a link where the workspace was.
    const handle = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    return new Directory(handle, HAS_PROC_FD ? `/proc/self/fd/${handle.fd}` : await realpath(path));
  }

  /** The directory below this one. @throws {RunnerError} `not_found`, `not_a_directory`, `symlink_refused` */
  async enter(name: string, create = false): Promise<Directory> {
    const path = join(this.path, name);
    try {
      if (create) await mkdir(path, { mode: 0o755 }).catch(ignore('EEXIST'));
      const handle = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      return new Directory(handle, HAS_PROC_FD ? `/proc/self/fd/${handle.fd}` : path);
    } catch (error) {
      // O_DIRECTORY | O_NOFOLLOW says ENOTDIR of a symbolic link as well; which of the two it is decides the code only.
      const link = await lstat(path)
        .then((stat) => stat.isSymbolicLink())
        .catch(() => false);
      throw link ? new RunnerError('symlink_refused', `${name} is a symbolic link`) : named(error, name);
    }
  }

  /** Opens a regular file in this directory. @throws {RunnerError} `not_found`, `symlink_refused`, `not_a_file` */
  async file(name: string, flags: number, mode = 0o644): Promise<FileHandle> {
    let handle: FileHandle;
    try {
      // NONBLOCK: opening a FIFO nobody writes to would wait for ever.
      handle = await open(join(this.path, name), flags | O_NOFOLLOW | O_NONBLOCK, mode);
    } catch (error) {
      throw named(error, name);
    }
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    throw new RunnerError('not_a_file', `${name} is not a regular file`);
  }

  sync(): Promise<void> {
    return this.handle.sync();
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

/** Walks to a path's parent and hands it over with the last name. @throws {RunnerError} for a path that leaves the workspace */
export async function inParent<T>(
  root: string,
  path: string,
  work: (parent: Directory, name: string) => Promise<T>,
  create = false,
): Promise<T> {
  const parts = pathParts(path);
  const name = parts.pop();
  if (name === undefined) throw new RunnerError('invalid_path', 'the path must name a file');
  return inDirectory(root, parts, (parent) => work(parent, name), create);
}

/** Walks to a directory and closes it afterwards. */
export async function inDirectory<T>(
  root: string,
  parts: readonly string[],
  work: (directory: Directory) => Promise<T>,
  create = false,
): Promise<T> {
  let current = await Directory.open(root);
  try {
    for (const part of parts) {
      const next = await current.enter(part, create);
      await current.close();
      current = next;
    }
    return await work(current);
  } finally {
    await current.close();
  }
}

/** A relative path's components; `.` and an empty path are the workspace itself. @throws {RunnerError} `invalid_path` */
export function pathParts(path: string): string[] {
  if (path.startsWith('/') || path.includes('\\') || path.includes('\0')) {
    throw new RunnerError('invalid_path', 'the path must be relative to the workspace');
  }
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new RunnerError('invalid_path', 'the path must not leave the workspace');
  return parts;
}

/** The real path of a directory, for a process to start in. */
export async function workingDirectory(root: string, cwd: string): Promise<string> {
  const parts = pathParts(cwd);
  await inDirectory(root, parts, () => Promise.resolve());
  return [await realpath(root), ...parts].join(sep);
}

function named(error: unknown, name: string): Error {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return new RunnerError('not_found', `${name} does not exist`);
  if (code === 'ELOOP') return new RunnerError('symlink_refused', `${name} is a symbolic link`);
  if (code === 'ENOTDIR') return new RunnerError('not_a_directory', `${name} is not a directory`);
  if (code === 'ENAMETOOLONG') return new RunnerError('invalid_path', 'a name in the path is too long');
  if (code === 'ENXIO') return new RunnerError('not_a_file', `${name} is not a regular file`);
  if (code === 'EISDIR') return new RunnerError('not_a_file', `${name} is a directory`);
  return error as Error;
}

function ignore(code: string): (error: NodeJS.ErrnoException) => void {
  return (error) => {
    if (error.code !== code) throw error;
  };
}
