import { commandWords } from './command-words';

describe('commandWords', () => {
  it.each([
    ['echo hello', ['echo', 'hello']],
    ['  echo   a  b ', ['echo', 'a', 'b']],
    [`sh -c 'echo "x y"; exit 3'`, ['sh', '-c', 'echo "x y"; exit 3']],
    [`printf "a \\" b"`, ['printf', 'a " b']],
    [`a\\ b c`, ['a b', 'c']],
    [`x ''`, ['x', '']],
    [`pre'fix 'post`, ['prefix post']],
    ['', []],
  ])('%s', (line, words) => expect(commandWords(line)).toEqual(words));

  it('refuses a quote that is not closed', () => expect(() => commandWords(`echo 'x`)).toThrow("' that is not closed"));
});
