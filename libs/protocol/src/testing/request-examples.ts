import type { RequestType } from '../requests';

const UUID = '00000000-0000-4000-8000-00000000000a';
const KEY = 'agent:default:main';
const device = { device_id: 'dev_x', pubkey: 'AAAA' };
const capability = { id: 'tyrum.fs.read', version: '1' };
const step = { type: 'CLI', args: { cmd: 'echo', args: ['x'] }, postcondition: {} };

/** A smallest and a fullest payload of every request type. */
export const REQUEST_EXAMPLES: Record<RequestType, [object, object]> = {
  'connect.init': [
    { protocol_rev: 2, role: 'client', device },
    {
      protocol_rev: 99,
      role: 'node',
      device: {
        ...device,
        label: '',
        platform: 'linux',
        version: '1',
        mode: 'node',
        device_type: 'd',
        device_platform: 'p',
        device_model: 'm',
      },
      capabilities: [capability],
      resume: { cursor: 'c' },
    },
  ],
  'connect.proof': [
    { connection_id: 'c', proof: 'p' },
    { connection_id: UUID, proof: 'p' },
  ],
  ping: [{}, {}],
  'conversation.create': [{}, { agent_key: 'default', channel: 'ui', queue_mode: 'collect' }],
  'conversation.list': [{}, { agent_key: 'a', channel: 'ui', limit: 200, cursor: 'c', archived: true }],
  'conversation.get': [{ conversation_id: KEY }, { conversation_id: KEY }],
  'conversation.send': [
    { conversation_id: KEY, trigger: 'submit-message' },
    {
      conversation_id: KEY,
      message_id: 'm',
      messages: [{ id: 'm', role: 'user', parts: [{ type: 'text', text: 'hi' }], metadata: { a: 1 } }],
      trigger: 'regenerate-message',
      headers: {},
      body: {},
      metadata: null,
    },
  ],
  'conversation.reconnect': [{ conversation_id: KEY }, { conversation_id: KEY }],
  'conversation.delete': [{ conversation_id: KEY }, { conversation_id: KEY }],
  'turn.list': [{}, { statuses: ['queued', 'running'], limit: 200, dead: false, cursor: 'c' }],
  'workflow.start': [
    { conversation_key: KEY, steps: [step] },
    {
      conversation_key: KEY,
      plan_id: 'p',
      request_id: 'r',
      steps: [step, step],
      budgets: { max_usd_micros: 1, max_duration_ms: 2, max_total_tokens: 3 },
    },
  ],
  'workflow.resume': [{ token: 't' }, { token: 't' }],
  'workflow.cancel': [{ workflow_run_id: UUID }, { workflow_run_id: UUID, reason: '' }],
  'approval.list': [
    {},
    {
      status: 'awaiting_human',
      kind: ['policy', 'other'],
      conversation_key: KEY,
      turn_id: UUID,
      limit: 500,
      cursor: 'c',
    },
  ],
  'approval.resolve': [
    { approval_id: UUID, decision: 'approved' },
    {
      approval_id: UUID,
      decision: 'denied',
      reason: 'r',
      mode: 'always',
      overrides: [{ tool_id: 't', pattern: '*', workspace_id: 'w' }],
    },
  ],
  'pairing.approve': [
    { pairing_id: 1, trust_level: 'local', capability_allowlist: [] },
    { pairing_id: 1, reason: 'r', trust_level: 'remote', capability_allowlist: [capability] },
  ],
  'pairing.deny': [{ pairing_id: 1 }, { pairing_id: 1, reason: 'r' }],
  'pairing.revoke': [{ pairing_id: 1 }, { pairing_id: 1, reason: 'r' }],
  'presence.beacon': [
    {},
    { host: 'h', ip: 'i', version: 'v', mode: 'browser-node', last_input_seconds: 0, metadata: { a: 1 } },
  ],
  'events.replay': [{ cursor: 'c' }, { cursor: 'c', limit: 1_000 }],
  'capability.ready': [{ capabilities: [] }, { capabilities: [capability], capability_states: [{ any: [1] }] }],
  'attempt.evidence': [
    { dispatch_id: 'd', evidence: null },
    { turn_id: UUID, dispatch_id: 'd', evidence: { a: 1 } },
  ],
};
