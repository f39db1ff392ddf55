import { randomUUID } from 'node:crypto';
import { constants, mkdir, open, rename, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DispatchJournal, JournalEntry, TaskAnswer } from './dispatch-journal';

export interface FileJournalOptions {
  /** For how long what has ended is remembered, in ms; a week when absent. Longer than any action may take. */
  readonly retainMs?: number;
  /** The file is rewritten without what is past its time when it is longer; 64 MiB when absent. */
  readonly maxBytes?: number;
  readonly nowMs?: () => number;
}

/** One line of the file. The first one names the journal. */
type Line =
  | { readonly instance: string }
  | { readonly begin: string; readonly at: number }
  | { readonly end: string; readonly at: number; readonly answer: TaskAnswer };

/** Where in the file an answer is: answers are many and long, and hardly one of them is asked for again. */
interface Place {
  readonly at: number;
  readonly answer?: { readonly offset: number; readonly length: number };
}

/** What a rewrite has carried over, and how long the new file is. */
interface Kept {
  readonly places: readonly [string, Place][];
  readonly length: number;
}

interface Waiting {
  readonly line: Line;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const FRESH = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND;
const WEEK_MS = 7 * 24 * 60 * 60_000;
const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

/**
 * A journal in one file of JSON lines, of one process at a time. Each promise is resolved after the disk has the line
 * (`fdatasync`); lines that come together share one. A torn last line, as a loss of power leaves it, is cut off: nobody
 * was promised anything of it. Node only.
 */
export class FileDispatchJournal implements DispatchJournal {
  readonly kind = 'durable';
  private readonly places = new Map<string, Place>();
  private waiting: Waiting[] = [];
  private writing: Promise<void> | undefined;
  private length = 0;
  /** There may be half a line behind `length`. */
  private isTorn = false;
  /** Not below this length is it rewritten again: what is left of it is not past its time. */
  private rewriteAt: number;

  private constructor(
    private readonly path: string,
    private file: FileHandle,
    private id: string,
    private readonly options: Required<FileJournalOptions>,
  ) {
    this.rewriteAt = options.maxBytes;
  }

  /** Opens the journal at `path` (mode 0600), made on first use. @throws what the file system says; {SyntaxError} for another file */
  static async open(path: string, options: FileJournalOptions = {}): Promise<FileDispatchJournal> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, 'a+', 0o600);
    const { retainMs = WEEK_MS, maxBytes = DEFAULT_MAX_BYTES, nowMs = () => Date.now() } = options;
    const journal = new FileDispatchJournal(path, file, randomUUID(), { retainMs, maxBytes, nowMs });
    try {
      await journal.load();
    } catch (error) {
      await file.close();
      throw error;
    }
    return journal;
  }

  get instance(): string {
    return this.id;
  }

  async find(dispatchId: string): Promise<JournalEntry | undefined> {
    // Offsets hold as long as the file is not being rewritten.
    await this.writing;
    const place = this.places.get(dispatchId);
    if (!place) return undefined;
    if (!place.answer) return { state: 'begun' };
    const line = JSON.parse(await this.read(place.answer)) as { answer: TaskAnswer };
    return { state: 'ended', answer: line.answer };
  }

  begin(dispatchId: string): Promise<void> {
    return this.append({ begin: dispatchId, at: this.options.nowMs() });
  }

  end(dispatchId: string, answer: TaskAnswer): Promise<void> {
    return this.append({ end: dispatchId, at: this.options.nowMs(), answer });
  }

  /** Resolves when everything is on the disk and the file is closed. */
  async close(): Promise<void> {
    await this.writing;
    await this.file.close();
  }

  private async load(): Promise<void> {
    const bytes = await this.file.readFile();
    const end = bytes.lastIndexOf(10) + 1;
    for (let offset = 0; offset < end;) {
      const next = bytes.indexOf(10, offset) + 1;
      this.note(JSON.parse(bytes.toString('utf8', offset, next)) as Line, offset, next - offset);
      offset = next;
    }
    this.length = end;
    if (end < bytes.length) await this.file.truncate(end);
    if (end > 0) return;
    await this.append({ instance: this.id });
    await syncFolder(dirname(this.path));
  }

  private note(line: Line, offset: number, length: number): void {
    if ('instance' in line) this.id = line.instance;
    else if ('begin' in line) this.places.set(line.begin, { at: line.at });
    else this.places.set(line.end, { at: line.at, answer: { offset, length } });
  }

  private append(line: Line): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ line, resolve, reject });
      this.writing ??= this.write();
    });
  }

  private async write(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.waiting;
      this.waiting = [];
      try {
        if (this.isTorn) await this.cutOff();
        if (this.length > this.rewriteAt) await this.rewrite();
        const lines = batch.map(({ line }) => Buffer.from(`${JSON.stringify(line)}\n`));
        await this.put(lines);
        for (const [i, { line }] of batch.entries()) {
          const { length } = lines[i] as Buffer;
          this.note(line, this.length, length);
          this.length += length;
        }
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    // In the same turn in which nothing was waiting: what comes later must not count on this loop.
    this.writing = undefined;
  }

  private async put(lines: readonly Buffer[]): Promise<void> {
    try {
      await this.file.appendFile(Buffer.concat(lines));
      await this.file.datasync();
    } catch (error) {
      this.isTorn = true;
      // Where that fails too, it is tried again before the next line.
      await this.cutOff().catch(() => undefined);
      throw error;
    }
  }

  /** Half a line, or one whose promise was broken: the next line must not stand behind it. */
  private async cutOff(): Promise<void> {
    await this.file.truncate(this.length);
    this.isTorn = false;
  }

  /**
   * Leaves out what ended long ago; what was begun and has no end stays as long. When it fails the old file is still the one
   * that is read, but may have lost its name: `rewriteAt` has it tried again before a line is put into it.
   */
  private async rewrite(): Promise<void> {
    const fresh = await open(`${this.path}.new`, FRESH, 0o600);
    const old = this.file;
    let kept: Kept;
    try {
      kept = await this.writeKept(fresh);
      await rename(`${this.path}.new`, this.path);
      await syncFolder(dirname(this.path));
    } catch (error) {
      await fresh.close();
      throw error;
    }
    const { places, length } = kept;
    this.file = fresh;
    // Whoever looks something up reads the old file by its old places or the new one by its new ones.
    this.places.clear();
    for (const [id, place] of places) this.places.set(id, place);
    this.length = length;
    this.rewriteAt = Math.max(this.options.maxBytes, 2 * length);
    await old.close();
  }

  /** Writes what is not past its time to a file of its own, and to the disk. */
  private async writeKept(fresh: FileHandle): Promise<Kept> {
    const before = this.options.nowMs() - this.options.retainMs;
    const places: [string, Place][] = [];
    let length = 0;
    const put = async (text: string): Promise<void> => {
      const bytes = Buffer.from(text);
      await fresh.appendFile(bytes);
      length += bytes.length;
    };
    await put(`${JSON.stringify({ instance: this.id })}\n`);
    for (const [id, { at, answer }] of this.places) {
      if (at < before) continue;
      const offset = length;
      await put(answer ? await this.read(answer) : `${JSON.stringify({ begin: id, at })}\n`);
      places.push([id, answer ? { at, answer: { offset, length: length - offset } } : { at }]);
    }
    await fresh.sync();
    return { places, length };
  }

  private async read({ offset, length }: { offset: number; length: number }): Promise<string> {
    const { buffer, bytesRead } = await this.file.read(Buffer.alloc(length), 0, length, offset);
    if (bytesRead < length) throw new Error(`${this.path} is shorter than it was written`);
    return buffer.toString('utf8');
  }
}

/** A file's name is on the disk when its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
