import type { Logger } from '@tyrum/platform';
import {
  CloseCode,
  EnvelopeError,
  errorResponse,
  okResponse,
  parseEnvelope,
  type Envelope,
  type JsonTextLimits,
} from '@tyrum/protocol';
import type { RefusalAudit } from '../limits/refusal-audit';
import type { Connection } from './connection';
import type { EventReplay } from './event-replay';
import type { HandshakeStep } from './handshake';
import type { NodeDesk } from './node-desk';
import type { RequestDesk } from './request-desk';

export interface SessionPorts {
  readonly desk: RequestDesk;
  readonly replay: EventReplay;
  readonly nodes: Pick<NodeDesk, 'answered'>;
  readonly audit: RefusalAudit;
  readonly logger: Logger;
  readonly json: JsonTextLimits;
  readonly newId: () => string;
  readonly nowMs: () => number;
}

/** What happens on a connection once the handshake is done. */
export class SocketSession {
  constructor(private readonly ports: SessionPorts) {}

  /** Answers the proof; a peer that resumes is first given the events it missed. */
  begin(connection: Connection, { request, result }: HandshakeStep & { kind: 'established' }, edgeId: string): void {
    const { resumeCursor } = connection.peer;
    if (resumeCursor === undefined) return void connection.link.send(JSON.stringify(okResponse(request, result)));
    const resume = async (): Promise<void> => {
      const { from, cursor } = await this.ports.replay.resume(resumeCursor);
      const extended = { ...result, cursor, epoch: from.epoch, edge_id: edgeId };
      connection.link.send(JSON.stringify(okResponse(request, extended)));
      await this.ports.replay.catchUp(connection, from);
    };
    resume().catch((error: unknown) => {
      this.ports.logger.warn({ err: error }, 'a resumed connection could not catch up');
      connection.link.close(CloseCode.Overloaded, 'the events cannot be read now');
    });
  }

  /** Takes one frame; `undefined` for a binary one. */
  receive(connection: Connection, text: string | undefined): void {
    // After a close of ours nothing is begun any more: the peer sends it again on its next connection.
    if (!connection.link.isOpen) return;
    if (text === undefined) return this.complain(connection, 'frames must be text');
    let envelope: Envelope;
    try {
      envelope = parseEnvelope(text, this.ports.json);
    } catch (error) {
      if (!(error instanceof EnvelopeError)) throw error;
      // Whoever can be told which request is meant is told so; the rest is an event.
      if (!error.request) return this.complain(connection, error.message);
      return this.send(connection, errorResponse(error.request, error.toBody()));
    }
    // Only nodes are asked anything, and the desk knows what.
    if (envelope.kind === 'response') return this.ports.nodes.answered(connection, envelope.response);
    if (envelope.kind === 'event') return this.complain(connection, 'only the gateway sends events');
    const { request } = envelope;
    if (connection.isBusy) {
      const { tenantId, tokenId } = connection.peer;
      this.ports.audit.note({ type: 'authz.denied', tenantId, tokenId, door: 'ws', reason: 'requests_in_flight' });
      const message = 'too many requests in flight on this connection';
      return this.send(connection, errorResponse(request, { code: 'rate_limited', message }));
    }
    connection.track(
      this.ports.desk.answer(connection, request).then((response) => {
        if (response) this.send(connection, response);
      }),
    );
  }

  private send(connection: Connection, message: object): void {
    connection.link.send(JSON.stringify(message));
  }

  private complain(connection: Connection, message: string): void {
    this.send(connection, {
      event_id: this.ports.newId(),
      type: 'error',
      occurred_at: new Date(this.ports.nowMs()).toISOString(),
      scope: { kind: 'client', client_id: connection.peer.connectionId },
      payload: { code: 'contract_error', message },
    });
  }
}
