import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { splitWords } from './split-words';

it.each<[string, string[]]>([
  ['', []],
  ['  \t\n ', []],
  ['echo hello', ['echo', 'hello']],
  ['  echo   hello  ', ['echo', 'hello']],
  [`sh -c "echo begun; sleep 30"`, ['sh', '-c', 'echo begun; sleep 30']],
  [`a 'b c' "d e"f`, ['a', 'b c', 'd ef']],
  [`a '' ""`, ['a', '', '']],
  [`'it'\\''s'`, ["it's"]],
  [`a\\ b "c\\"d" "e\\nf" 'g\\h'`, ['a b', 'c"d', 'e\\nf', 'g\\h']],
  [`a\\\nb`, ['ab']],
  ['echo $HOME * ~ | ; & #', ['echo', '$HOME', '*', '~', '|', ';', '&', '#']],
])('%j', (line, words) => {
  expect(splitWords(line)).toEqual(words);
});

it.each([`echo "a`, `echo 'a`, 'echo a\\'])('refuses %j', (line) => {
  expect(() => splitWords(line)).toThrow(expect.objectContaining({ code: 'usage' }));
});

it('splits as sh does, where sh has nothing to expand', () => {
  const alphabet = fc.constantFrom('a', 'b', ' ', '\t', '"', "'", '\\', '\n', 'é', '-');
  fc.assert(
    fc.property(fc.array(fc.array(alphabet, { maxLength: 12 }), { minLength: 40, maxLength: 40 }), (texts) => {
      const lines = texts.map((chars) => chars.join('')).filter(isComplete);
      // A newline outside quotes ends sh's command, where we have white space.
      const script = lines.map((line) => `set -- ${spaced(line)}\nprintf '%s\\0' "$#" "$@"`).join('\n');
      const out = execFileSync('sh', ['-c', `set -f\n${script}`]).toString().split('\0');
      for (const line of lines) {
        const count = Number(out.shift());
        expect({ line, words: splitWords(line) }).toEqual({ line, words: out.splice(0, count) });
      }
    }),
    { numRuns: 25 },
  );
});

function isComplete(line: string): boolean {
  try {
    splitWords(line);
    return true;
  } catch {
    return false;
  }
}

/** The line with newlines outside quotes made spaces, by the rules of quoting alone. */
function spaced(line: string): string {
  return line.replace(/'[^']*'|"(?:\\[^]|[^"\\])*"|\\[^]|\n/g, (piece) => (piece === '\n' ? ' ' : piece));
}
