import { ContractError, type Violation } from '../error-codes';
import { LIMITS } from '../limits';
import { ConnectInitPayload } from './connect-requests';
import { isRequestType, REQUESTS, validateRequest, type RequestType } from './registry';

const UUID = '00000000-0000-4000-8000-00000000000a';
const KEY = 'agent:default:main';
const device = { device_id: 'dev_x', pubkey: 'AAAA' };
const capability = { id: 'tyrum.fs.read', version: '1' };
const step = { type: 'CLI', args: { cmd: 'echo', args: ['x'] }, postcondition: {} };

/** A smallest and a fullest payload of every type. */
const ACCEPTED: Record<RequestType, [object, object]> = {
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
  'turn.list': [{}, { statuses: ['queued', 'running'], limit: 200 }],
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

function violationsOf(type: RequestType, payload: unknown): Violation[] {
  try {
    validateRequest(type, payload);
    return [];
  } catch (error) {
    if (error instanceof ContractError) return error.details;
    throw error;
  }
}

describe.each(Object.keys(REQUESTS) as RequestType[])('%s', (type) => {
  const [smallest, fullest] = ACCEPTED[type];

  it('accepts what the protocol says', () => {
    for (const payload of [smallest, fullest]) {
      expect(violationsOf(type, payload)).toEqual([]);
      expect(JSON.parse(JSON.stringify(validateRequest(type, payload)))).toMatchObject(payload);
    }
  });

  it('is closed', () => {
    expect(violationsOf(type, { ...fullest, surplus: 1 })).toEqual([
      expect.objectContaining({ field: 'payload.surplus', rule: 'unknownField' }),
    ]);
  });

  it('needs every field of the smallest payload', () => {
    for (const name of Object.keys(smallest)) {
      const rest = Object.fromEntries(Object.entries(smallest).filter(([key]) => key !== name));
      expect(violationsOf(type, rest)).toEqual([expect.objectContaining({ field: `payload.${name}` })]);
    }
  });

  it('checks the type of every field', () => {
    for (const name of Object.keys(fullest).filter((key) => !['evidence', 'metadata'].includes(key))) {
      for (const wrong of [null, () => 1, { toString: 'x', wrong: 1 }]) {
        if (['headers', 'body'].includes(name) && wrong !== null) continue;
        const [first] = violationsOf(type, { ...fullest, [name]: wrong });
        expect(first?.field).toMatch(new RegExp(`^payload\\.${name}\\b`));
      }
    }
  });
});

describe('validateRequest', () => {
  it('defaults what the protocol defaults', () => {
    expect(validateRequest('connect.init', ACCEPTED['connect.init'][0])).toBeInstanceOf(ConnectInitPayload);
    expect(validateRequest('connect.init', ACCEPTED['connect.init'][0]).capabilities).toEqual([]);
    expect(validateRequest('approval.list', {}).limit).toBe(100);
  });

  it('knows only its own names', () => {
    for (const type of ['constructor', '__proto__', 'toString', 'connect', '']) {
      expect(isRequestType(type)).toBe(false);
      expect(violationsOf(type as RequestType, {})).toEqual([expect.objectContaining({ field: 'type' })]);
    }
  });

  it.each<[RequestType, object, string, string]>([
    ['conversation.list', { limit: 201 }, 'payload.limit', 'max'],
    ['turn.list', { limit: 201 }, 'payload.limit', 'max'],
    ['turn.list', { statuses: ['done'] }, 'payload.statuses', 'isIn'],
    ['approval.list', { limit: 501 }, 'payload.limit', 'max'],
    ['approval.list', { kind: 'policy' }, 'payload.kind', 'isArray'],
    ['events.replay', { cursor: 'c', limit: 1_001 }, 'payload.limit', 'max'],
    ['workflow.start', { conversation_key: KEY, steps: [] }, 'payload.steps', 'arrayMinSize'],
    ['workflow.start', { conversation_key: 'x', steps: [step] }, 'payload.conversation_key', 'conversationKey'],
    [
      'workflow.start',
      { conversation_key: KEY, steps: [step, { type: 'CLI', args: { cmd: 5 } }] },
      'payload.steps[1].args.cmd',
      'isString',
    ],
    [
      'workflow.start',
      { conversation_key: KEY, steps: [step], budgets: { max_usd: 1 } },
      'payload.budgets.max_usd',
      'unknownField',
    ],
    ['conversation.send', { conversation_id: KEY, trigger: 'x' }, 'payload.trigger', 'isIn'],
    [
      'conversation.send',
      { conversation_id: KEY, trigger: 'submit-message', messages: [{ id: 'm', role: 'user', parts: [{}] }] },
      'payload.messages[0].parts[0].type',
      'isString',
    ],
    ['pairing.deny', { pairing_id: '1' }, 'payload.pairing_id', 'isInt'],
    [
      'connect.init',
      { protocol_rev: 2, role: 'client', device: { ...device, extra: 1 } },
      'payload.device.extra',
      'unknownField',
    ],
    ['connect.init', { protocol_rev: 2, role: 'admin', device }, 'payload.role', 'isIn'],
  ])('%s %j names %s by the rule %s', (type, payload, field, rule) => {
    expect(violationsOf(type, payload)).toEqual([expect.objectContaining({ field, rule })]);
  });

  it('refuses too many steps without reading them', () => {
    const steps = Array.from({ length: LIMITS.stepsPerWorkflow + 1 }, () => null);
    expect(violationsOf('workflow.start', { conversation_key: KEY, steps })).toEqual([
      expect.objectContaining({ field: 'payload.steps', rule: 'arrayMaxSize' }),
    ]);
  });

  it('keeps steps exactly as they were sent', () => {
    const sent = JSON.parse('{"type":"CLI","args":{"cmd":"x","constructor":{"y":1}},"postcondition":null}') as object;
    expect(validateRequest('workflow.start', { conversation_key: KEY, steps: [sent] }).steps[0]).toBe(sent);
  });
});

it('lets nobody but nodes speak for nodes, and asks operators for their scope', () => {
  for (const [type, { scope, roles }] of Object.entries(REQUESTS)) {
    if (/^(capability|attempt)\./.test(type))
      expect({ type, scope, roles }).toEqual({ type, scope: null, roles: ['node'] });
    else if (/^(connect\.|ping$|presence\.)/.test(type)) expect({ type, scope }).toEqual({ type, scope: null });
    else
      expect({ type, scope, roles }).toEqual({ type, scope: expect.stringMatching(/^operator\./), roles: ['client'] });
  }
});
