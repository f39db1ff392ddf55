import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { Secret } from '@tyrum/platform';
import { KeyRing, openKeyRing, UnreadableSecretError } from './key-ring';

const newKey = () => randomBytes(32).toString('base64url');
const OURS = { tenantId: 'a', key: 'github' };

describe('KeyRing', () => {
  it('opens what it closed, under any of its keys, and closes differently each time', () => {
    const [old, next] = [newKey(), newKey()];
    const sealed = new KeyRing([old]).seal('välue', OURS);
    expect(new KeyRing([next, old]).open(sealed, OURS)).toBe('välue');
    expect(new KeyRing([old]).seal('välue', OURS)).not.toEqual(sealed);
    const rewrapped = new KeyRing([next, old]).rewrap(sealed, OURS);
    expect(rewrapped.ciphertext).toBe(sealed.ciphertext);
    expect(new KeyRing([next]).open(rewrapped, OURS)).toBe('välue');
  });

  it('says which key is missing', () => {
    const ring = new KeyRing([newKey()]);
    const sealed = ring.seal('value', OURS);
    const other = new KeyRing([newKey()]);
    expect(() => other.open(sealed, OURS)).toThrow(`key ${ring.primaryId}, which is not among TYRUM_SECRET_KEYS`);
    expect(() => other.rewrap(sealed, OURS)).toThrow(UnreadableSecretError);
  });

  it('does not open what was moved to another tenant or key, or changed', () => {
    const ring = new KeyRing([newKey()]);
    const sealed = ring.seal('value', OURS);
    const changed = (text: string) => (text.startsWith('A') ? 'B' : 'A') + text.slice(1);
    expect(() => ring.open(sealed, { ...OURS, tenantId: 'b' })).toThrow(UnreadableSecretError);
    expect(() => ring.open(sealed, { ...OURS, key: 'gitlab' })).toThrow(UnreadableSecretError);
    expect(() => ring.open({ ...sealed, ciphertext: changed(sealed.ciphertext) }, OURS)).toThrow(UnreadableSecretError);
    expect(() => ring.open({ ...sealed, wrapped_key: changed(sealed.wrapped_key) }, OURS)).toThrow(
      UnreadableSecretError,
    );
    const mixed = { ...sealed, ciphertext: ring.seal('other', OURS).ciphertext };
    expect(() => ring.open(mixed, OURS)).toThrow(UnreadableSecretError);
  });

  it('refuses keys that are none', () => {
    expect(() => new KeyRing([])).toThrow(TypeError);
    expect(() => new KeyRing(['short'])).toThrow(TypeError);
  });
});

describe('openKeyRing', () => {
  const home = mkdtempSync(join(tmpdir(), 'tyrum-keys-'));
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  const sqlite = { home, database: { kind: 'sqlite', path: 'x' } } as const;
  const postgres = { home, database: { kind: 'postgres', url: new Secret('postgres://x') } } as const;

  it('makes one key in the home of a single host, however many ask at once', async () => {
    const rings = await Promise.all(Array.from({ length: 5 }, () => openKeyRing(sqlite)));
    expect(new Set(rings.map((ring) => ring?.primaryId)).size).toBe(1);
    expect(statSync(join(home, 'secret-key')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(home, 'secret-key'), 'utf8')).toMatch(/^[\w-]{43}\n$/);
  });

  it('takes what is configured, and has none on Postgres without it', async () => {
    expect(await openKeyRing(postgres)).toBeUndefined();
    const [first, second] = [newKey(), newKey()];
    const ring = await openKeyRing({ ...postgres, secretKeys: new Secret(`${first},${second}`) });
    expect(ring?.primaryId).toBe(new KeyRing([first]).primaryId);
  });
});
