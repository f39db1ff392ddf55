import { setImmediate } from 'node:timers/promises';
import { NestLogger, createLogger, withLogContext } from './logging';
import { scrubText } from './redaction';
import { Secret } from './secret';
import { memoryLogger } from './testing';

const TOKEN = 'tyrum-token.v1.0b5cdd0e-92a7-4f0e-8f6a-0d6d3b6f2a11.c2VjcmV0LXNlY3JldC1zZWNyZXQ';
const CANARY = 'c2VjcmV0LXNlY3JldC1zZWNyZXQ';

class Login {
  password = CANARY;
}

it('writes one JSON line with level, time, app and instance', () => {
  const { logger, lines } = memoryLogger();
  logger.info({ turns: 3 }, 'claimed');
  expect(lines).toEqual([
    expect.objectContaining({ level: 'info', app: 'edge', instance_id: 'test-1', turns: 3, msg: 'claimed' }),
  ]);
  expect(lines[0]?.['time']).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
});

it('stays silent below its level', () => {
  const lines: string[] = [];
  const config = { app: 'worker', instanceId: 'w', logLevel: 'warn' } as const;
  const logger = createLogger(config, { write: (line) => void lines.push(line) });
  logger.info('no');
  logger.warn('yes');
  expect(lines).toHaveLength(1);
});

describe('redaction', () => {
  it.each([
    ['a field', { token: CANARY }],
    ['a header in any case', { req: { headers: { Authorization: CANARY, 'Set-Cookie': [CANARY] } } }],
    ['a deep field', { a: { b: [{ c: { d: { apiKey: CANARY, api_key: CANARY, 'api-key': CANARY } } }] } }],
    ['an object under a secret key', { secret: { value: CANARY } }],
    ['a field of an error', { err: Object.assign(new Error('x'), { password: CANARY, config: { token: CANARY } }) }],
    ['a token in an error', { err: new Error(`refused ${TOKEN}`, { cause: new Error(TOKEN) }) }],
    ['a field of an error under any key', { failure: [Object.assign(new Error('x'), { token: CANARY })] }],
    ['a token in any field', { url: `/ws?x=${TOKEN}` }],
    ['the subprotocol', { protocols: `tyrum-v1, tyrum-auth.${CANARY}` }],
    ['a bearer value', { line: `Authorization: Bearer ${CANARY}` }],
    ['a password in a URL', { url: `postgres://user:${CANARY}@db/x` }],
    ['a Secret', { value: new Secret(CANARY) }],
    ['a class instance', { login: new Login() }],
  ])('removes %s', (_name, fields) => {
    const { logger, lines } = memoryLogger();
    logger.info(fields, 'seen');
    expect(JSON.stringify(lines)).not.toContain(CANARY);
    expect(JSON.stringify(lines)).toContain('[redacted]');
    expect(lines[0]?.msg).toBe('seen');
  });

  it('reaches messages, child fields and errors logged on their own', () => {
    const { logger, lines } = memoryLogger();
    logger.info(`token ${TOKEN} came`);
    logger.child({ authorization: CANARY }).info('child');
    logger.error(new Error(`bad ${TOKEN}`));
    expect(lines).toHaveLength(3);
    expect(JSON.stringify(lines)).not.toContain(CANARY);
  });

  it('keeps what only looks alike', () => {
    const { logger, lines } = memoryLogger();
    logger.info({ lease_token: 7, tokens: 12, token: null, url: 'http://host:80/a@b' }, 'kept');
    expect(lines[0]).toMatchObject({ lease_token: 7, tokens: 12, token: null, url: 'http://host:80/a@b' });
  });

  it('does not change the object that was logged, and survives a cycle', () => {
    const { logger, lines } = memoryLogger();
    const fields: Record<string, unknown> = { token: CANARY };
    fields['self'] = fields;
    logger.info(fields, 'cycle');
    expect(fields['token']).toBe(CANARY);
    expect(lines).toHaveLength(1);
  });

  it('takes linear time on hostile text', () => {
    const startedAt = performance.now();
    scrubText('://a:'.repeat(20_000));
    scrubText('tyrum-token.v1.'.repeat(20_000));
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });
});

describe('context', () => {
  it('is on every line caused by the work, across awaits and child loggers, nested and apart', async () => {
    const { logger, lines } = memoryLogger();
    const work = (turn: string) =>
      withLogContext({ turn_id: turn, lease_token: 4 }, async () => {
        await setImmediate();
        withLogContext({ request_id: 'r' }, () => logger.child({ part: 'step' }).info('inner'));
        logger.info('outer');
      });
    await Promise.all([work('a'), work('b')]);
    logger.info('outside');
    expect(lines.map(({ msg, turn_id, request_id }) => [msg, turn_id, request_id])).toEqual([
      ['inner', 'a', 'r'],
      ['outer', 'a', undefined],
      ['inner', 'b', 'r'],
      ['outer', 'b', undefined],
      ['outside', undefined, undefined],
    ]);
  });
});

it('takes Nest’s messages', () => {
  const { logger, lines } = memoryLogger();
  const nest = new NestLogger(logger);
  nest.log('Mapped {/x, GET} route', 'RouterExplorer');
  nest.error('failed', 'Error: failed\n  at x', 'ExceptionsHandler');
  nest.error(new Error('boom'), 'ExceptionsHandler');
  nest.warn({ some: 'detail' });
  expect(lines).toMatchObject([
    { level: 'debug', msg: 'Mapped {/x, GET} route', nest_context: 'RouterExplorer' },
    { level: 'error', msg: 'failed', stack: 'Error: failed\n  at x', nest_context: 'ExceptionsHandler' },
    { level: 'error', msg: 'boom', err: { message: 'boom' } },
    { level: 'warn', detail: { some: 'detail' } },
  ]);
});
