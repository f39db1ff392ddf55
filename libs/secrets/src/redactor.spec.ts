import fc from 'fast-check';
import { Redactor } from './redactor';

const value = fc.string({ minLength: 8, maxLength: 40, unit: 'grapheme' }).filter((text) => text.trim().length >= 8);

/** What programs make of a value unasked, at any place of what they encode. */
function encodings(secret: string, before: string): string[] {
  const bytes = Buffer.from(before + secret);
  const own = Buffer.from(secret);
  return [
    secret,
    own.toString('hex'),
    own.toString('hex').toUpperCase(),
    own.toString('base64'),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    encodeURIComponent(secret),
    new URLSearchParams({ x: secret }).toString().slice(2),
    JSON.stringify({ [secret]: secret }),
  ];
}

/** The characters of base64 that come of the value alone. */
function inside(secret: string, before: string): string {
  const offset = Buffer.byteLength(before) % 3;
  const encoded = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)]).toString('base64');
  return encoded.slice(offset === 0 ? 0 : offset + 1, encoded.replace(/=+$/, '').length - 1);
}

describe('Redactor', () => {
  it('finds a value in every form, wherever it begins', () => {
    fc.assert(
      fc.property(value, fc.string({ maxLength: 5 }), (secret, before) => {
        const redactor = new Redactor(new Map([['key', secret]]));
        for (const text of encodings(secret, before)) {
          const shown = redactor.text(`say ${text} end`);
          expect(shown).toContain('[secret:key]');
          expect(shown).not.toContain(secret);
          expect(shown).not.toContain(inside(secret, before));
          expect(shown).not.toContain(Buffer.from(secret).toString('hex'));
        }
      }),
    );
  });

  it('says of a stream, however it is cut, the same as of the whole', () => {
    const pieces = fc.array(fc.oneof(fc.constant('SECRET-VALUE'), fc.constant('SECRET'), fc.string()), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(pieces, fc.array(fc.nat(20), { maxLength: 40 }), (parts, cuts) => {
        const redactor = new Redactor(
          new Map([
            ['one', 'SECRET-VALUE'],
            ['two', 'VALUESECRET'],
          ]),
        );
        const whole = Buffer.from(parts.join(''));
        const stream = redactor.stream();
        const said: Buffer[] = [];
        let from = 0;
        for (const length of cuts) {
          said.push(stream.write(whole.subarray(from, from + length)));
          from += length;
        }
        said.push(stream.write(whole.subarray(from)), stream.end());
        expect(Buffer.concat(said)).toEqual(redactor.bytes(whole));
      }),
    );
  });

  it('finds the lines of a value that has several, each behind something of its own', () => {
    const pem = '-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAAo\nend\n-----END KEY-----\n';
    const redactor = new Redactor(new Map([['key', pem]]));
    const shown = redactor.text(pem.replaceAll('\n', '\n> '));
    expect(shown).not.toMatch(/MIIE|BAQE/);
    expect(shown).toContain('> end');
  });

  it('leaves bytes that are no text as they are', () => {
    const redactor = new Redactor(new Map([['key', 'long-enough']]));
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    expect(redactor.bytes(bytes)).toEqual(bytes);
  });

  it('takes the longer of two values where one is a part of the other', () => {
    const redactor = new Redactor(
      new Map([
        ['short', 'password'],
        ['long', 'password-and-more'],
      ]),
    );
    expect(redactor.json({ a: ['password-and-more', 'password'], password: 1 })).toEqual({
      a: ['[secret:long]', '[secret:short]'],
      '[secret:short]': 1,
    });
  });
});
