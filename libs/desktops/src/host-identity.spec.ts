import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostIdentityError, readHostId } from './host-identity';

describe('the identity of a host', () => {
  let home: string;
  beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'tyrum-host-'))));
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  it('is made once and read ever after, leaving nothing else behind', () => {
    const folder = join(home, 'not', 'there', 'yet');
    const first = readHostId(folder, randomUUID);
    expect(readHostId(folder, randomUUID)).toBe(first);
    expect(readFileSync(join(folder, 'desktop-host-id'), 'utf8')).toBe(`${first}\n`);
    expect(readdirSync(folder)).toEqual(['desktop-host-id']);
  });

  it('is the one that was there first when two make it at once', () => {
    const winner = randomUUID();
    const loser = () => {
      // Another process finishes between our look and our link.
      readHostId(home, () => winner);
      return randomUUID();
    };
    expect(readHostId(home, loser)).toBe(winner);
    expect(readdirSync(home)).toEqual(['desktop-host-id']);
  });

  it.each(['', 'box-1', `${randomUUID()}x`])('is not guessed from a file that holds %j', (text) => {
    writeFileSync(join(home, 'desktop-host-id'), text);
    expect(() => readHostId(home, randomUUID)).toThrow(HostIdentityError);
    expect(() => readHostId(home, randomUUID)).toThrow(/desktop-host-id does not hold a host id/);
  });
});
