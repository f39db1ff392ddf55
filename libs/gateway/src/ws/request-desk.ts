import { allows, type Principal, type TokenStore } from '@tyrum/identity';
import { withLogContext, type Logger } from '@tyrum/platform';
import {
  CloseCode,
  errorResponse,
  isRequestType,
  okResponse,
  payloadFingerprint,
  REQUESTS,
  ContractError,
  validateRequest,
  WireError,
  type RequestEnvelope,
  type RequestType,
  type ResponseEnvelope,
} from '@tyrum/protocol';
import { RefusedError, refusalOf, wireErrorOf } from '../failures';
import type { GatewayMetrics } from '../gateway-metrics';
import type { Admission } from '../limits/admission';
import type { Refusal, RefusalAudit } from '../limits/refusal-audit';
import { actorOf } from '../operations/once';
import type { Connection } from './connection';
import type { RequestCall, RequestHandler, RequestHandlers } from './request-handlers';

export interface DeskPorts {
  readonly tokens: TokenStore;
  readonly handlers: RequestHandlers;
  readonly metrics: GatewayMetrics;
  readonly admission: Admission;
  readonly audit: RefusalAudit;
  readonly logger: Logger;
}

/** Answers the requests of established connections: may they, is the payload right, who serves it. */
export class RequestDesk {
  constructor(private readonly ports: DeskPorts) {}

  /** The answer to a request. Never rejects. `undefined` when the connection was closed instead. */
  answer(connection: Connection, request: RequestEnvelope): Promise<ResponseEnvelope | undefined> {
    return withLogContext({ request_id: request.request_id }, async () => {
      const startedAt = performance.now();
      const response = await this.respond(connection, request);
      const outcome = !response ? 'closed' : response.ok ? 'ok' : response.error.code;
      const type = isRequestType(request.type) ? request.type : 'unknown';
      this.ports.metrics.answered({ door: 'ws', type, outcome }, (performance.now() - startedAt) / 1000);
      return response;
    });
  }

  private async respond(connection: Connection, request: RequestEnvelope): Promise<ResponseEnvelope | undefined> {
    const { type } = request;
    try {
      if (!isRequestType(type)) throw ContractError.at('type', 'requestType', 'is not a request type');
      // In a cache of a second, and each time: a revocation ends sessions, not only log-ins.
      const principal = await this.ports.tokens.recheck(connection.peer.tokenId);
      if (!principal) {
        this.note(connection, { type: 'auth.failed', reason: 'token_ended' });
        connection.link.close(CloseCode.SessionExpired, 'the token has expired or was revoked');
        return undefined;
      }
      this.ports.admission.requirePrincipal(principal, 'ws');
      this.requireRight(connection, type, principal);
      const payload = validateRequest(type, request.payload);
      const handler = this.ports.handlers[type] as RequestHandler<RequestType> | undefined;
      if (!handler) throw new WireError('not_found', `${type} is not served by this gateway`);
      return okResponse(request, await handler(callOf(connection, request), payload));
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal) this.note(connection, { ...refusal, subject: type });
      const log = (unexpected: unknown) => this.ports.logger.error({ err: unexpected, type }, 'request failed');
      return errorResponse(request, wireErrorOf(error, log));
    }
  }

  /** @throws {WireError} */
  private requireRight({ peer }: Connection, type: RequestType, principal: Principal): void {
    if (type === 'connect.init' || type === 'connect.proof') {
      throw new WireError('invalid_request', 'the handshake is over');
    }
    const { roles, scope } = REQUESTS[type];
    if (!roles.includes(peer.role)) throw new RefusedError('role', 'forbidden', `a ${peer.role} may not send ${type}`);
    if (scope !== null && !allows(principal, scope)) {
      throw new RefusedError('scope', 'forbidden', `${type} needs the scope ${scope}`);
    }
  }

  private note({ peer }: Connection, refusal: Pick<Refusal, 'type' | 'reason' | 'subject'>): void {
    const { tenantId, tokenId } = peer;
    this.ports.audit.note({ ...refusal, tenantId, tokenId, door: 'ws' });
  }
}

function callOf(connection: Connection, { request_id, type, payload }: RequestEnvelope): RequestCall {
  const { tenantId, deviceId, tokenId } = connection.peer;
  return {
    connection,
    tenantId,
    key: () => ({
      tenantId,
      route: `ws:${type}`,
      principal: deviceId,
      actor: actorOf({ tokenId }),
      key: request_id,
      fingerprint: payloadFingerprint(payload),
    }),
  };
}
