import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeBase64Url, verifyConnectProof, connectProofText } from '@tyrum/protocol';
import { openDeviceIdentity } from './kept-device-identity';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'tyrum-identity-'))));
afterEach(() => rm(folder, { recursive: true }));

it('is made once, kept for the owner only, and the same ever after', async () => {
  const path = join(folder, 'deep', 'device.pem');
  const first = await openDeviceIdentity(path);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await openDeviceIdentity(path)).deviceId).toBe(first.deviceId);
  expect(first.deviceId).toMatch(/^dev_[a-z2-7]{52}$/);
});

it('is one and the same for processes that start together', async () => {
  const path = join(folder, 'device.pem');
  const all = await Promise.all(Array.from({ length: 8 }, () => openDeviceIdentity(path)));
  expect(new Set(all.map(({ deviceId }) => deviceId)).size).toBe(1);
  expect(await readdir(folder)).toEqual(['device.pem']);
});

it('signs what the gateway verifies', async () => {
  const identity = await openDeviceIdentity(join(folder, 'device.pem'));
  const facts = {
    protocolRev: 2,
    role: 'client',
    deviceId: identity.deviceId,
    connectionId: 'c',
    challenge: 'x',
  } as const;
  const proof = encodeBase64Url(await identity.sign(connectProofText(facts)));
  expect(verifyConnectProof(identity.pubkey, proof, facts)).toBe(true);
  expect(verifyConnectProof(identity.pubkey, proof, { ...facts, challenge: 'y' })).toBe(false);
});

it('refuses a file that holds no key, instead of replacing it', async () => {
  const path = join(folder, 'device.pem');
  await writeFile(path, 'not a key');
  await chmod(path, 0o600);
  await expect(openDeviceIdentity(path)).rejects.toThrow();
});
