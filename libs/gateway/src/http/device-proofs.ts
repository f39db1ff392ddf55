import type { Principal } from '@tyrum/identity';
import { IdempotencyLedger } from '@tyrum/idempotency';
import {
  decodePublicKey,
  DEVICE_PROOF_HEADER,
  DEVICE_PROOF_WINDOW_MS,
  deviceIdOf,
  parseHttpProof,
  verifyHttpProof,
  WireError,
} from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import type { Request } from 'express';

/** Used nonces are kept for longer than any of them could be accepted. */
const NONCE_TTL_MS = 3 * DEVICE_PROOF_WINDOW_MS;

/**
 * Checks that a request with a device-bound token comes from that device: it signs each request, and each signature is good
 * once. The nonces lie in the database, because the next edge must know them as well.
 */
export class DeviceProofs {
  private readonly ledger = new IdempotencyLedger(NONCE_TTL_MS);

  constructor(
    private readonly store: StateStore,
    private readonly nowMs: () => number,
  ) {}

  /** @throws {WireError} forbidden, for whatever is wrong with the proof @throws {StoreUnavailableError} */
  async require(request: Request, principal: Principal & { readonly deviceId: string }): Promise<void> {
    const proof = parseHttpProof(request.get(DEVICE_PROOF_HEADER) ?? '');
    if (!proof) throw refused('is missing or malformed');
    const der = decodePublicKey(proof.pubkey);
    if (!der || deviceIdOf(der) !== principal.deviceId) throw refused("is not the token's device's");
    const { tokenId } = principal;
    const { issuedAtMs, nonce } = proof;
    const facts = { method: request.method, path: request.originalUrl, tokenId, issuedAtMs, nonce };
    if (!verifyHttpProof(proof, facts)) throw refused('does not verify');
    if (Math.abs(this.nowMs() - issuedAtMs) > DEVICE_PROOF_WINDOW_MS) throw refused('is too old or from the future');
    if (!(await this.isFirst(principal, nonce))) throw refused('was used before');
  }

  private async isFirst({ tenantId, tokenId }: Principal, nonce: string): Promise<boolean> {
    const use = {
      tenantId,
      route: 'http:device-proof',
      principal: tokenId,
      key: nonce,
      fingerprint: '',
      response: '{}',
    };
    const [reservation] = await this.store.transaction((tx) => this.ledger.reserveAll(tx, [use]));
    return reservation?.kind === 'fresh';
  }
}

function refused(what: string): WireError {
  return new WireError('forbidden', `the token is bound to a device, and the header ${DEVICE_PROOF_HEADER} ${what}`);
}
