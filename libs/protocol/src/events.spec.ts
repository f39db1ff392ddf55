import { EVENTS, eventScope, isEventType, SCOPE_ID_FIELDS, type EventScopeKind } from './events';

it('holds exactly the best-effort events of the protocol apart', () => {
  const bestEffort = Object.entries(EVENTS).flatMap(([type, { durable }]) => (durable ? [] : [type]));
  expect(bestEffort).toEqual([
    'message.delta',
    'typing.started',
    'typing.stopped',
    'presence.upserted',
    'presence.pruned',
    'chat.ui-message.stream',
  ]);
});

it('knows only its own names', () => {
  expect(isEventType('turn.queued')).toBe(true);
  for (const type of ['constructor', '__proto__', 'hasOwnProperty', 'turn', '']) expect(isEventType(type)).toBe(false);
});

it('names a scope as the wire does', () => {
  expect((Object.keys(SCOPE_ID_FIELDS) as EventScopeKind[]).map((kind) => eventScope(kind, 'x'))).toEqual([
    { kind: 'global' },
    { kind: 'agent', agent_id: 'x' },
    { kind: 'conversation', conversation_key: 'x' },
    { kind: 'turn', turn_id: 'x' },
    { kind: 'node', node_id: 'x' },
    { kind: 'client', client_id: 'x' },
  ]);
});
