import { generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import { encodeBase64Url } from './base64url';
import { connectProofText } from './connect-proof';
import { decodePublicKey, signConnectProof, verifyConnectProof } from './device-signatures';

const keys = generateKeyPairSync('ed25519');
const der = keys.publicKey.export({ type: 'spki', format: 'der' });
const pubkey = encodeBase64Url(der);
const facts = { protocolRev: 2, role: 'client', deviceId: 'dev_x', connectionId: 'c1', challenge: 'ch' } as const;

describe('connectProofText', () => {
  it('is these lines exactly', () => {
    expect(connectProofText(facts)).toBe(
      'tyrum-connect-proof\nprotocol_rev=2\nrole=client\ndevice_id=dev_x\nconnection_id=c1\nchallenge=ch\n',
    );
  });
});

describe('verifyConnectProof', () => {
  it('accepts what signConnectProof made', () => {
    expect(verifyConnectProof(pubkey, signConnectProof(keys.privateKey, facts), facts)).toBe(true);
  });

  it('accepts a signature made without us', () => {
    const text = 'tyrum-connect-proof\nprotocol_rev=2\nrole=client\ndevice_id=dev_x\nconnection_id=c1\nchallenge=ch\n';
    const proof = sign(null, Buffer.from(text), keys.privateKey).toString('base64url');
    expect(verifyConnectProof(pubkey, proof, facts)).toBe(true);
  });

  it.each([
    { role: 'node' },
    { deviceId: 'dev_y' },
    { connectionId: 'c2' },
    { challenge: 'other' },
    { protocolRev: 3 },
  ] as const)('refuses a proof of other facts: %j', (other) => {
    expect(verifyConnectProof(pubkey, signConnectProof(keys.privateKey, facts), { ...facts, ...other })).toBe(false);
  });

  it('refuses another device', () => {
    const stranger = generateKeyPairSync('ed25519');
    expect(verifyConnectProof(pubkey, signConnectProof(stranger.privateKey, facts), facts)).toBe(false);
  });

  it('answers false to anything malformed', () => {
    const proof = signConnectProof(keys.privateKey, facts);
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'der' });
    for (const bad of [
      '',
      'AA',
      '*',
      `${pubkey}=`,
      pubkey.slice(4),
      encodeBase64Url(rsa),
      encodeBase64Url(Buffer.concat([der, der])),
    ]) {
      expect(verifyConnectProof(bad, proof, facts)).toBe(false);
    }
    fc.assert(fc.property(fc.string(), (text) => expect(verifyConnectProof(pubkey, text, facts)).toBe(false)));
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) =>
        expect(verifyConnectProof(encodeBase64Url(bytes), proof, facts)).toBe(false),
      ),
    );
  });
});

describe('decodePublicKey', () => {
  it('gives the DER bytes of an Ed25519 key and of nothing else', () => {
    expect(Buffer.from(decodePublicKey(pubkey)!)).toEqual(der);
    expect(decodePublicKey('AAAA')).toBeUndefined();
  });
});
