import type { TurnReader } from '@tyrum/execution';
import type { RequestPayload, RequestResult, RequestType } from '@tyrum/protocol';
import type { Chats } from '../operations/chats';
import type { RequestKey } from '../operations/once';
import { listTurns } from '../operations/turn-list';
import type { Workflows } from '../operations/workflows';
import type { Connection } from './connection';
import type { EventReplay } from './event-replay';

/** What a handler knows besides the payload. */
export interface RequestCall {
  readonly connection: Connection;
  readonly tenantId: string;
  /** The name under which a copy of this request is the same request. Made when asked for: reads need none. */
  readonly key: () => RequestKey;
}

export type RequestHandler<T extends RequestType> = (
  call: RequestCall,
  payload: RequestPayload<T>,
) => Promise<RequestResult<T>> | RequestResult<T>;

/** The request types this gateway serves. The others are answered `not_found`. */
export type RequestHandlers = { readonly [T in RequestType]?: RequestHandler<T> };

export interface HandlerPorts {
  readonly workflows: Workflows;
  readonly chats: Chats;
  readonly reader: TurnReader;
  readonly replay: EventReplay;
}

export function requestHandlers({ workflows, chats, reader, replay }: HandlerPorts): RequestHandlers {
  return {
    ping: () => undefined,
    'conversation.create': async ({ key }, payload) => (await chats.create(key(), payload)).answer,
    'conversation.list': ({ tenantId }, payload) => chats.list(tenantId, payload),
    'conversation.get': ({ tenantId }, { conversation_id }) => chats.get(tenantId, conversation_id),
    'conversation.send': async ({ key, connection }, payload) =>
      (await chats.send(key(), connection.peer.tokenId, payload)).answer,
    'conversation.reconnect': ({ tenantId }, { conversation_id }) => chats.reconnect(tenantId, conversation_id),
    'conversation.delete': async ({ key }, { conversation_id }) => (await chats.remove(key(), conversation_id)).answer,
    'turn.list': ({ tenantId }, payload) => listTurns(reader, tenantId, payload, 'payload'),
    'workflow.start': async ({ key }, payload) => (await workflows.start(key(), payload, 'payload')).answer,
    'workflow.cancel': async ({ key }, { workflow_run_id, reason }) => {
      const { answer } = await workflows.cancel(key(), workflow_run_id, reason);
      return { workflow_run_id: answer.turnId, cancelled: answer.cancelled };
    },
    'events.replay': ({ connection }, { cursor, limit }) => replay.page(connection, cursor, limit),
  };
}
