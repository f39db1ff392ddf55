import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TaskAnswer } from './dispatch-journal';
import { FileDispatchJournal, type FileJournalOptions } from './file-dispatch-journal';

/** The module itself: an import of it would be a copy, and what is put in its place would not be called. */
const fs = jest.requireActual<typeof import('node:fs/promises')>('node:fs/promises');

const answer = (n: number): TaskAnswer => ({ ok: true, result: { result: `é${n}`, evidence: [n] } });

describe('FileDispatchJournal', () => {
  let folder: string;
  const open: FileDispatchJournal[] = [];
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'tyrum-journal-'))));
  afterEach(async () => {
    jest.restoreAllMocks();
    for (const one of open.splice(0)) await one.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const path = () => join(folder, 'deep', 'journal.jsonl');
  /** As another process finds it: the first one is not asked to close anything. */
  const reopen = async (options?: FileJournalOptions): Promise<FileDispatchJournal> => {
    const journal = await FileDispatchJournal.open(path(), options);
    open.push(journal);
    return journal;
  };

  it('knows after a restart what was begun, what ended and how, and is the same instance', async () => {
    const first = await reopen();
    await first.begin('a');
    await first.begin('b');
    await first.end('b', answer(1));
    const second = await reopen();
    expect(second.instance).toBe(first.instance);
    expect(await second.find('a')).toEqual({ state: 'begun' });
    expect(await second.find('b')).toEqual({ state: 'ended', answer: answer(1) });
    expect(await second.find('c')).toBeUndefined();
    expect(statSync(path()).mode & 0o777).toBe(0o600);
  });

  it('leaves no file open when it cannot be rewritten', async () => {
    const journal = await reopen({ maxBytes: 1 });
    await journal.begin('a');
    await journal.end('a', answer(1));
    // What is to be carried over can no longer be read.
    truncateSync(path(), 10);
    const handles = () => readdirSync('/proc/self/fd').length;
    const before = handles();
    for (let i = 0; i < 5; i += 1) await expect(journal.begin(`b${i}`)).rejects.toThrow('shorter');
    expect(handles()).toBe(before);
  });

  it.each([
    ['its folder cannot be synced', () => join(folder, 'deep')],
    ['it cannot be opened again', path],
  ])('forgets nothing it promised when %s after a rewrite', async (_why, refused) => {
    const journal = await reopen({ maxBytes: 1 });
    const { open: real } = fs;
    const failing = jest
      .spyOn(fs, 'open')
      .mockImplementation((...args) => (args[0] === refused() ? Promise.reject(new Error('EMFILE')) : real(...args)));
    const promised: string[] = [];
    const begin = async (id: string) =>
      journal.begin(id).then(
        () => void promised.push(id),
        (error: Error) => expect(error.message).toBe('EMFILE'),
      );
    for (const id of ['a', 'b', 'c']) await begin(id);
    failing.mockRestore();
    await begin('d');
    expect(promised).toContain('d');
    const second = await reopen();
    for (const id of promised) expect(await second.find(id)).toEqual({ state: 'begun' });
  });

  it('cuts half a line off before the next one, also when it could not be cut off at once', async () => {
    const journal = await reopen();
    await journal.begin('a');
    const some = await fs.open(path(), 'r');
    const handle = Object.getPrototypeOf(some) as FileHandle;
    await some.close();
    const half = jest.spyOn(handle, 'appendFile').mockImplementation(() => {
      appendFileSync(path(), '{"begin":');
      return Promise.reject(new Error('ENOSPC'));
    });
    const stuck = jest.spyOn(handle, 'truncate').mockRejectedValue(new Error('EIO'));
    await expect(journal.begin('b')).rejects.toThrow();
    half.mockRestore();
    await journal.begin('b').catch((error: Error) => expect(error.message).toBe('EIO'));
    stuck.mockRestore();
    await journal.begin('c');
    const second = await reopen();
    expect(await second.find('c')).toEqual({ state: 'begun' });
  });

  it('keeps many that come together', async () => {
    const first = await reopen();
    const ids = Array.from({ length: 500 }, (_, i) => `d${i}`);
    await Promise.all(ids.map((id) => first.begin(id)));
    await Promise.all(ids.map((id, i) => first.end(id, answer(i))));
    const second = await reopen();
    for (const [i, id] of ids.entries()) expect(await second.find(id)).toEqual({ state: 'ended', answer: answer(i) });
  });

  it('cuts off a torn last line wherever it was torn, and goes on behind what is whole', async () => {
    const first = await reopen();
    await first.begin('a');
    const { size } = statSync(path());
    await first.end('a', answer(1));
    const whole = readFileSync(path());
    for (let length = size; length < whole.length; length += 7) {
      truncateSync(path(), size);
      appendFileSync(path(), whole.subarray(size, length));
      const torn = await reopen();
      expect(await torn.find('a')).toEqual({ state: 'begun' });
      await torn.begin('b');
      expect(await (await reopen()).find('b')).toEqual({ state: 'begun' });
    }
  });

  it('is rewritten without what is past its time', async () => {
    let nowMs = 0;
    const options = { maxBytes: 2_000, retainMs: 100, nowMs: () => nowMs };
    const first = await reopen(options);
    const { instance } = first;
    for (let i = 0; i < 50; i += 1) {
      nowMs = i;
      await first.begin(`old${i}`);
      await first.end(`old${i}`, answer(i));
    }
    nowMs = 120;
    for (let i = 0; i < 100; i += 1) await first.begin(`new${i}`);
    expect(await first.find('old0')).toBeUndefined();
    expect(await first.find('old49')).toEqual({ state: 'ended', answer: answer(49) });
    const second = await reopen(options);
    expect(second.instance).toBe(instance);
    expect(await second.find('old0')).toBeUndefined();
    expect(await second.find('old49')).toEqual({ state: 'ended', answer: answer(49) });
    for (let i = 0; i < 100; i += 1) expect(await second.find(`new${i}`)).toEqual({ state: 'begun' });
  });

  it('refuses a file that is no journal', async () => {
    await reopen();
    appendFileSync(path(), 'not a journal\n');
    await expect(FileDispatchJournal.open(path())).rejects.toBeInstanceOf(SyntaxError);
  });
});
