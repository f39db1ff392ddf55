import { Keyboard } from './keyboard';

/** A table with two keys that stand for nothing, and one below those that `xdotool key` takes for a digit. */
const TABLE = 'keycode   9 =\nkeycode  38 = a A a A\nkeycode 200 =\nkeycode 201 = \nkeycode 202 = F13\n';

function keyboard(): { type: (text: string) => Promise<string[]> } {
  const ran: string[] = [];
  const board = new Keyboard((command, _signal, input) => {
    if (command[1] !== '-pke')
      ran.push([...command, ...(input === undefined ? [] : [`< ${input.trimEnd()}`])].join(' '));
    return Promise.resolve(Buffer.from(command[1] === '-pke' ? TABLE : ''));
  });
  return {
    type: async (text) => {
      await board.type(text, new AbortController().signal);
      return ran.splice(0);
    },
  };
}
const plain = (text: string) => `xdotool type --clearmodifiers --delay 8 --file - < ${text}`;
const keys = (...codes: number[]) => `xdotool key --clearmodifiers --delay 8 ${codes.join(' ')}`;
const lends = (...lines: string[]) => `xmodmap - < ${lines.join('\n')}`;

it('types what the keyboard has as it is', async () => {
  expect(await keyboard().type('a = "b"\tc')).toEqual([plain('a = "b"\tc')]);
});

it('lends a key to what it has not, once, and keeps the order', async () => {
  const { type } = keyboard();
  expect(await type('Grüße')).toEqual([
    plain('Gr'),
    lends('keycode 200 = U00FC U00FC', 'keycode 201 = U00DF U00DF'),
    keys(200, 201),
    plain('e'),
  ]);
  expect(await type('ßü')).toEqual([keys(201, 200)]);
});

it('takes the key that was lent longest ago when there is no other, and never one that is needed', async () => {
  const { type } = keyboard();
  await type('üß');
  expect(await type('ß€')).toEqual([lends('keycode 200 = U20AC U20AC'), keys(201, 200)]);
  expect(await type('äöü')).toEqual([
    lends('keycode 201 = U00E4 U00E4', 'keycode 200 = U00F6 U00F6'),
    keys(201, 200),
    lends('keycode 201 = U00FC U00FC'),
    keys(201),
  ]);
});

it('takes a character beyond the first plane for one', async () => {
  expect(await keyboard().type('🙂')).toEqual([lends('keycode 200 = U1F642 U1F642'), keys(200)]);
});
