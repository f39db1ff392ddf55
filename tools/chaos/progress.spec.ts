import { Progress } from './progress';

describe('Progress', () => {
  const shown = (output: { isTTY?: boolean; columns?: number }, times: readonly number[]) => {
    const written: string[] = [];
    let nowMs = 0;
    const progress = new Progress({ ...output, write: (text) => written.push(text) }, () => nowMs);
    for (const at of times) {
      nowMs = at;
      progress.show(`at ${at} of many`);
    }
    progress.end();
    return written;
  };

  it('writes over one line, no longer than the terminal is wide', () => {
    expect(shown({ isTTY: true, columns: 6 }, [1, 2])).toEqual(['\r\x1b[Kat 1 ', '\r\x1b[Kat 2 ', '\n']);
  });

  it('writes a line every ten seconds where nobody watches', () => {
    expect(shown({}, [0, 9_999, 10_000, 15_000, 20_000])).toEqual([
      'at 0 of many\n',
      'at 10000 of many\n',
      'at 20000 of many\n',
    ]);
  });
});
