import { PassThrough, type Writable } from 'node:stream';
import * as ws from 'ws';
import { textFrame } from './text-frame';

/** What reads frames in a client of `ws`; its types leave it out. */
const { Receiver } = ws as unknown as { Receiver: new (options: { isServer: boolean }) => Writable };

/** What a client of `ws` makes of these bytes. */
async function read(bytes: Buffer): Promise<string[]> {
  const receiver = new Receiver({ isServer: false });
  const texts: string[] = [];
  receiver.on('message', (data: Buffer, isBinary: boolean) => texts.push(isBinary ? 'binary' : data.toString()));
  const stream = new PassThrough();
  stream.pipe(receiver);
  stream.end(bytes);
  await new Promise((resolve, reject) => receiver.once('finish', resolve).once('error', reject));
  return texts;
}

it.each([0, 1, 125, 126, 127, 65_535, 65_536, 200_000])('carries a text of %i bytes', async (length) => {
  const text = 'x'.repeat(length);
  expect(await read(textFrame(Buffer.from(text)))).toEqual([text]);
});

it('follows another one without anything in between', async () => {
  const [first, second] = ['{"a":"ü"}', '€'.repeat(30_000)];
  const both = Buffer.concat([textFrame(Buffer.from(first)), textFrame(Buffer.from(second))]);
  expect(await read(both)).toEqual([first, second]);
});
