import {
  AUTH_SUBPROTOCOL_PREFIX,
  CloseCode,
  connectProofText,
  encodeBase64Url,
  isFinalCloseCode,
  isJsonObject,
  PROTOCOL_REV,
  SUBPROTOCOL,
  type Capability,
  type ConnectInitResult,
  type ConnectProofResult,
  type DevicePayload,
  type JsonObject,
  type PeerRole,
  type ResponseEnvelope,
} from '@tyrum/protocol';
import type { DeviceIdentity } from './device-identity';
import { ConnectionLostError, wireErrorOf } from './errors';
import type { WebSocketConstructor, WebSocketLike } from './web-socket';

/** Whether connecting again with the same token and device cannot help. */
export function isFinalClose(code: number): boolean {
  return code === CloseCode.Unauthorized || isFinalCloseCode(code);
}

export interface LinkOptions {
  /** `ws://…/ws` or `wss://…/ws`. */
  readonly url: string;
  readonly token: string;
  /** `header` needs a constructor that can send one, which a browser's cannot. */
  readonly tokenIn: 'subprotocol' | 'header';
  readonly WebSocket: WebSocketConstructor;
  readonly identity: DeviceIdentity;
  readonly role: PeerRole;
  readonly device: Omit<DevicePayload, 'device_id' | 'pubkey'>;
  readonly capabilities: readonly Capability[];
  /** Sent as `resume`; without it the peer gets no cursors. */
  readonly cursor?: string;
  readonly newId: () => string;
}

export interface LinkEvents {
  /** The handshake is done. Called before any frame after it is read, so that the order on the wire is kept. */
  welcome(result: ConnectProofResult): void;
  /** A frame after the handshake. */
  frame(frame: JsonObject): void;
  /** Once, whatever the reason, unless `drop` was called before. */
  lost(error: ConnectionLostError): void;
}

/*
 *   opening ──open──▶ init ──result──▶ proof ──result──▶ established
 *      └──────────────── close or error ────────────────────┴──▶ lost (once)
 */

/** One WebSocket connection, from opening to its end. Never reconnects. */
export class Link {
  private readonly socket: WebSocketLike;
  private readonly requestIds: readonly [string, string];
  private established = false;
  private over = false;
  /** What `ws` says about a refused upgrade; a browser says nothing. */
  private refusal = '';

  constructor(
    private readonly options: LinkOptions,
    private readonly events: LinkEvents,
  ) {
    this.requestIds = [options.newId(), options.newId()];
    this.socket = openSocket(options);
    this.socket.addEventListener('open', () => this.init());
    this.socket.addEventListener('message', ({ data }) => this.receive(data));
    this.socket.addEventListener('error', ({ message }) => (this.refusal = message ?? ''));
    this.socket.addEventListener('close', ({ code, reason }) => this.lose(code, reason));
  }

  /** Sends a frame. To one that is already closing it is lost, as it is on the wire: the caller sends it again elsewhere. */
  send(text: string): void {
    if (!this.over) this.socket.send(text);
  }

  /** Ends it politely and says nothing more. */
  drop(): void {
    this.over = true;
    this.socket.close(CloseCode.Normal);
  }

  /** Ends it at once, as lost: for a peer that no longer answers. */
  abandon(reason: string): void {
    this.lose(1006, reason);
    if (this.socket.terminate) this.socket.terminate();
    else this.socket.close();
  }

  private init(): void {
    const { identity, role, device, capabilities, cursor } = this.options;
    this.ask(this.requestIds[0], 'connect.init', {
      protocol_rev: PROTOCOL_REV,
      role,
      device: { ...device, device_id: identity.deviceId, pubkey: identity.pubkey },
      capabilities,
      ...(cursor === undefined ? {} : { resume: { cursor } }),
    });
  }

  private receive(data: unknown): void {
    if (this.over) return;
    const frame = readFrame(data);
    // A frame we cannot read is of a later revision's making: what it would have told us comes again or is not for us.
    if (!frame) return;
    if (this.established) return this.events.frame(frame);
    this.shakeHands(frame as unknown as ResponseEnvelope<ConnectInitResult & ConnectProofResult>).catch(
      (error: unknown) => this.fail(error),
    );
  }

  private async shakeHands(response: ResponseEnvelope<ConnectInitResult & ConnectProofResult>): Promise<void> {
    const step = this.requestIds.indexOf(response.request_id);
    if (step === -1) return;
    if (!response.ok) throw wireErrorOf(response.error);
    if (!response.result) throw new TypeError('the peer answered the handshake with nothing');
    if (step === 0) return this.prove(response.result);
    this.established = true;
    this.events.welcome(response.result);
  }

  private async prove({ connection_id, challenge }: ConnectInitResult): Promise<void> {
    const { identity, role } = this.options;
    const { deviceId } = identity;
    const facts = { protocolRev: PROTOCOL_REV, role, deviceId, connectionId: connection_id, challenge };
    const proof = encodeBase64Url(await identity.sign(connectProofText(facts)));
    this.ask(this.requestIds[1], 'connect.proof', { connection_id, proof });
  }

  private ask(request_id: string, type: string, payload: object): void {
    this.send(JSON.stringify({ request_id, type, payload }));
  }

  private fail(error: unknown): void {
    this.lose(CloseCode.BadMessage, error instanceof Error ? error.message : String(error));
    this.socket.close();
  }

  private lose(code: number, reason: string): void {
    if (this.over) return;
    this.over = true;
    const isRefused = /\b(401|403)\b/.test(this.refusal) && !this.established;
    const because = reason === '' ? this.refusal : reason;
    this.events.lost(
      new ConnectionLostError(isRefused ? CloseCode.Unauthorized : code, because, isRefused || isFinalClose(code)),
    );
  }
}

function openSocket({ WebSocket, url, token, tokenIn }: LinkOptions): WebSocketLike {
  if (tokenIn === 'header') return new WebSocket(url, [SUBPROTOCOL], { headers: { authorization: `Bearer ${token}` } });
  return new WebSocket(url, [SUBPROTOCOL, AUTH_SUBPROTOCOL_PREFIX + encodeBase64Url(new TextEncoder().encode(token))]);
}

function readFrame(data: unknown): JsonObject | undefined {
  if (typeof data !== 'string') return undefined;
  try {
    const frame: unknown = JSON.parse(data);
    return isJsonObject(frame) ? frame : undefined;
  } catch {
    return undefined;
  }
}
