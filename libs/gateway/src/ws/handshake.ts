import type { Principal } from '@tyrum/identity';
import {
  CloseCode,
  ContractError,
  decodePublicKey,
  deviceIdOf,
  okResponse,
  parseEnvelope,
  PROTOCOL_REV,
  validateRequest,
  verifyConnectProof,
  type Capability,
  type ConnectInitPayload,
  type ConnectProofResult,
  type DevicePayload,
  type JsonTextLimits,
  type PeerRole,
  type RequestEnvelope,
} from '@tyrum/protocol';

/*
 *   opened ──connect.init──▶ challenged ──connect.proof──▶ established
 *              │      ▲           │
 *              │      └───────────┘ another connect.init: a new challenge, the old one is void
 *              ▼
 *   closed: 4001 role not the token's · 4003 bad message or order · 4005 revision · 4006 device id · 4007 proof · 4008 device
 *
 * At most `messagesBeforeHandshake` messages are read. The clock (4002) is the door's.
 */

/** Who is at the other end of an established connection. */
export interface Peer {
  /** Also the client id. */
  readonly connectionId: string;
  readonly deviceId: string;
  readonly role: PeerRole;
  readonly tenantId: string;
  readonly tokenId: string;
  /** What the device says of itself, and what it can do, as far as `connect.init` tells. */
  readonly device?: Pick<DevicePayload, 'label' | 'version' | 'mode'>;
  readonly capabilities?: readonly Capability[];
  /** Present when the peer sent `resume`. */
  readonly resumeCursor?: string;
}

export type HandshakeStep =
  | { readonly kind: 'reply'; readonly response: object }
  /** The door answers `request` with `result`, to which it may add what `resume` asked for. */
  | {
      readonly kind: 'established';
      readonly request: RequestEnvelope;
      readonly result: ConnectProofResult;
      readonly peer: Peer;
    }
  | { readonly kind: 'close'; readonly code: CloseCode; readonly reason: string };

export interface HandshakeLimits {
  readonly messagesBeforeHandshake: number;
  readonly json: JsonTextLimits;
}

export interface HandshakeStamps {
  readonly newId: () => string;
  /** base64url of `LIMITS.challengeBytes` random bytes. */
  readonly newChallenge: () => string;
}

interface Challenged {
  readonly connectionId: string;
  readonly challenge: string;
  readonly init: ConnectInitPayload;
}

/** The server's side of the handshake of one connection. Reads no clock and no socket. */
export class Handshake {
  private challenged: Challenged | undefined;
  private messages = 0;

  constructor(
    private readonly principal: Principal,
    private readonly stamps: HandshakeStamps,
    private readonly limits: HandshakeLimits,
  ) {}

  /** What to do about the next text frame. */
  receive(text: string): HandshakeStep {
    this.messages += 1;
    if (this.messages > this.limits.messagesBeforeHandshake)
      return close(CloseCode.Policy, 'too many messages before the handshake');
    try {
      const envelope = parseEnvelope(text, this.limits.json);
      if (envelope.kind !== 'request') return close(CloseCode.BadMessage, 'expected a request');
      const { request } = envelope;
      if (request.type === 'connect.init') return this.init(request);
      if (request.type === 'connect.proof') return this.proof(request);
      return close(CloseCode.BadMessage, 'expected connect.init or connect.proof');
    } catch (error) {
      if (!(error instanceof ContractError)) throw error;
      return close(CloseCode.BadMessage, error.message);
    }
  }

  private init(request: RequestEnvelope): HandshakeStep {
    // Looked at first: another revision may have other fields, and those would hide what is wrong.
    const { protocol_rev } = request.payload;
    if (typeof protocol_rev === 'number' && protocol_rev !== PROTOCOL_REV) {
      return close(CloseCode.ProtocolRevMismatch, `this gateway speaks protocol_rev ${PROTOCOL_REV}`);
    }
    const init = validateRequest('connect.init', request.payload);
    const der = decodePublicKey(init.device.pubkey);
    if (!der || deviceIdOf(der) !== init.device.device_id) {
      return close(CloseCode.DeviceIdMismatch, 'device_id is not that of pubkey');
    }
    if (this.principal.deviceId !== undefined && this.principal.deviceId !== init.device.device_id) {
      return close(CloseCode.TokenBoundToOtherDevice, 'the token is bound to another device');
    }
    if (this.principal.role === 'node' && init.role !== 'node') {
      return close(CloseCode.Unauthorized, "a node's token serves nodes only");
    }
    this.challenged = { connectionId: this.stamps.newId(), challenge: this.stamps.newChallenge(), init };
    const { connectionId: connection_id, challenge } = this.challenged;
    return { kind: 'reply', response: okResponse(request, { connection_id, challenge }) };
  }

  private proof(request: RequestEnvelope): HandshakeStep {
    if (!this.challenged) return close(CloseCode.BadMessage, 'connect.proof came before connect.init');
    const { connectionId, challenge, init } = this.challenged;
    // Single use, whatever comes of it.
    this.challenged = undefined;
    const payload = validateRequest('connect.proof', request.payload);
    const { device_id: deviceId, pubkey, label, version, mode } = init.device;
    const facts = { protocolRev: PROTOCOL_REV, role: init.role, deviceId, connectionId, challenge };
    if (payload.connection_id !== connectionId || !verifyConnectProof(pubkey, payload.proof, facts)) {
      return close(CloseCode.InvalidProof, 'the proof does not verify');
    }
    const peer: Peer = {
      connectionId,
      deviceId,
      role: init.role,
      tenantId: this.principal.tenantId,
      tokenId: this.principal.tokenId,
      device: {
        ...(label === undefined ? {} : { label }),
        ...(version === undefined ? {} : { version }),
        ...(mode === undefined ? {} : { mode }),
      },
      capabilities: init.capabilities.map((one) => ({ id: one.id, version: one.version })),
      ...(init.resume ? { resumeCursor: init.resume.cursor } : {}),
    };
    return {
      kind: 'established',
      request,
      result: { client_id: connectionId, device_id: deviceId, role: init.role },
      peer,
    };
  }
}

function close(code: CloseCode, reason: string): HandshakeStep {
  return { kind: 'close', code, reason };
}
