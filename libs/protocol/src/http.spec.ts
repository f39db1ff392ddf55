import { ContractError, ERROR_CODES, WireError, type Violation } from './error-codes';
import { HTTP_STATUS, problemOf, ScheduleCreateBody, TokenCreateBody, TurnResolveBody } from './http';
import { validatePayload, type PayloadClass } from './validate';

function violationsOf(cls: PayloadClass, body: unknown): Violation[] {
  try {
    validatePayload(cls, body, 'body');
    return [];
  } catch (error) {
    if (error instanceof ContractError) return error.details;
    throw error;
  }
}

describe('problemOf', () => {
  it('has a status for every code', () => {
    for (const code of ERROR_CODES) {
      expect(problemOf({ code, message: 'm' })).toMatchObject({
        status: HTTP_STATUS[code],
        code,
        detail: 'm',
        type: 'about:blank',
      });
    }
  });

  it('carries the fields at fault and a status of its own', () => {
    const error = ContractError.at('body.x', 'isString', 'must be a string');
    expect(problemOf(error.toBody(), { status: 422, instance: '/v1/x' })).toMatchObject({
      status: 422,
      instance: '/v1/x',
      details: [{ field: 'body.x', rule: 'isString' }],
    });
    expect(problemOf(new WireError('internal', 'm').toBody())).not.toHaveProperty('details');
  });
});

describe('ScheduleCreateBody', () => {
  const execution = {
    kind: 'steps',
    conversation_key: 'agent:default:main',
    steps: [{ type: 'CLI', args: { cmd: 'x' } }],
  };
  const cron = { type: 'cron', expression: '0 9 * * *', timezone: 'Europe/Berlin' };
  const body = { kind: 'cron', cadence: cron, execution };

  it('accepts both cadences and is enabled unless told otherwise', () => {
    expect(validatePayload(ScheduleCreateBody, body)).toMatchObject({ ...body, enabled: true });
    const heartbeat = {
      ...body,
      kind: 'heartbeat',
      cadence: { type: 'interval', interval_ms: 60_000 },
      delivery: { mode: 'quiet' },
      enabled: false,
    };
    expect(validatePayload(ScheduleCreateBody, heartbeat)).toMatchObject(heartbeat);
  });

  it.each<[string, string, object]>([
    ['body.cadence', 'required', { cadence: undefined }],
    ['body.cadence.type', 'isIn', { cadence: { type: 'daily' } }],
    ['body.cadence.interval_ms', 'min', { cadence: { type: 'interval', interval_ms: 1 } }],
    [
      'body.cadence.expression',
      'unknownField',
      { cadence: { type: 'interval', interval_ms: 60_000, expression: '*' } },
    ],
    ['body.cadence.timezone', 'isTimeZone', { cadence: { ...cron, timezone: 'Mars/Olympus' } }],
    ['body.cadence.timezone', 'isTimeZone', { cadence: { ...cron, timezone: '+01:00' } }],
    ['body.execution.kind', 'isIn', { execution: { kind: 'agent_turn' } }],
    ['body.execution.kind', 'isIn', { execution: { kind: 'playbook' } }],
    ['body.execution.steps[0].type', 'isIn', { execution: { ...execution, steps: [{ type: 'Nope', args: {} }] } }],
    ['body.enabled', 'isBoolean', { enabled: 'yes' }],
  ])('names %s by the rule %s', (field, rule, change) => {
    const changed = JSON.parse(JSON.stringify({ ...body, ...change })) as object;
    expect(violationsOf(ScheduleCreateBody, changed)).toEqual([expect.objectContaining({ field, rule })]);
  });
});

describe('TurnResolveBody and TokenCreateBody', () => {
  it('accept what they are for', () => {
    expect(violationsOf(TurnResolveBody, { decision: 'retry' })).toEqual([]);
    expect(
      violationsOf(TurnResolveBody, { decision: 'done', step_index: 0, reason: 'r', result: { output: 'x' } }),
    ).toEqual([]);
    expect(
      violationsOf(TokenCreateBody, {
        role: 'client',
        scopes: ['operator.read'],
        label: 'l',
        expires_at: '2027-01-01T00:00:00Z',
        device_id: 'd',
      }),
    ).toEqual([]);
  });

  it('refuse the rest', () => {
    expect(violationsOf(TurnResolveBody, { decision: 'skip' })).toEqual([
      expect.objectContaining({ field: 'body.decision' }),
    ]);
    expect(violationsOf(TokenCreateBody, { role: 'root' })).toEqual([expect.objectContaining({ field: 'body.role' })]);
    expect(violationsOf(TokenCreateBody, { role: 'client', scopes: ['*'] })).toEqual([
      expect.objectContaining({ field: 'body.scopes' }),
    ]);
    expect(violationsOf(TokenCreateBody, { role: 'client', expires_at: 'tomorrow' })).toEqual([
      expect.objectContaining({ field: 'body.expires_at' }),
    ]);
  });
});
