import { decodeBase64Url, decodePublicKey, deviceIdOf, verifyConnectProof, connectProofText } from '@tyrum/protocol';
import { encodeBase64Url } from '@tyrum/protocol';
import { createWebKeyPair, webDeviceIdentity } from './device-identity';

it('names and signs as a key of Node would', async () => {
  const keys = await createWebKeyPair();
  const identity = await webDeviceIdentity(keys);
  expect(decodePublicKey(identity.pubkey)).toBeDefined();
  expect(identity.deviceId).toBe(deviceIdOf(decodeBase64Url(identity.pubkey) as Uint8Array));
  const { deviceId } = identity;
  const facts = { protocolRev: 2, role: 'client', deviceId, connectionId: 'c', challenge: 'x' } as const;
  const proof = encodeBase64Url(await identity.sign(connectProofText(facts)));
  expect(verifyConnectProof(identity.pubkey, proof, facts)).toBe(true);
  expect(verifyConnectProof(identity.pubkey, proof, { ...facts, challenge: 'y' })).toBe(false);
  await expect(crypto.subtle.exportKey('pkcs8', keys.privateKey)).rejects.toThrow();
});
