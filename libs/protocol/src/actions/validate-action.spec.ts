import { ContractError } from '../error-codes';
import { LIMITS } from '../limits';
import type { Action } from './action';
import { ACTION_TYPES } from './action-types';
import { defaultEffectOf } from './effect-class';
import { EXECUTED_ACTIONS, isExecutable, requireExecutable, validateAction } from './validate-action';

function refusalOf(work: () => unknown): ContractError {
  try {
    work();
  } catch (error) {
    if (error instanceof ContractError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const cli = (args: object): object => ({ type: 'CLI', args: { cmd: 'echo', ...args } });
const http = (args: object): object => ({ type: 'Http', args: { method: 'GET', url: 'https://example.com', ...args } });
const fs = (args: object): object => ({ type: 'Filesystem', args });

describe('validateAction', () => {
  it.each([
    { type: 'CLI', args: { cmd: 'echo', args: ['x'] }, postcondition: {} },
    cli({ args: [''], cwd: 'sub', timeout_ms: 5, effect: 'read', something_new: { deep: [1] } }),
    http({ headers: { 'Idempotency-Key': 'k' }, body: { a: 1 } }),
    http({ method: 'post', body: 'text' }),
    fs({ op: 'read', path: 'a', offset: 0, limit: 1 }),
    fs({ op: 'write', path: 'a', content: '', encoding: 'base64' }),
    fs({ op: 'edit', path: 'a', old_text: 'x', new_text: '', replace_all: true }),
    fs({ op: 'apply_patch', patch: 'p' }),
    fs({ op: 'list' }),
    fs({ op: 'glob', pattern: '**' }),
    fs({ op: 'grep', pattern: 'x', path: '.', glob: '*.ts', ignore_case: false }),
    { type: 'Mcp', args: { server: 's', tool: 't', arguments: {} }, idempotency_key: 'k' },
    { type: 'Node', args: { capability: 'tyrum.fs.read', op: 'read', path: 'x' } },
    { type: 'Desktop', args: { op: 'screenshot' } },
    { type: 'Browser', args: { op: 'navigate', url: 'x' } },
    { type: 'Llm', args: { prompt: 'p' } },
    { type: 'Decide', args: { prompt: 'p', options: ['a'] } },
    { type: 'Message', args: { conversation_key: 'agent:default:main', text: 'hi' } },
    { type: 'Confirm', args: { prompt: 'sure?' } },
    { type: 'Watch', args: {} },
    { type: 'Pay', args: { anything: [{}] } },
    JSON.parse('{"type":"Watch","args":{"constructor":{"x":1}}}') as object,
  ])('accepts %j and hands it back as it is', (action) => expect(validateAction(action)).toBe(action));

  it.each<[string, string, unknown]>([
    ['s', 'isObject', []],
    ['s', 'isObject', 'CLI'],
    ['s.type', 'isString', { args: {} }],
    ['s.type', 'isIn', { type: 'cli', args: {} }],
    ['s.type', 'isIn', { type: 'constructor', args: {} }],
    ['s.args', 'isObject', { type: 'CLI' }],
    ['s.args', 'isObject', { type: 'CLI', args: ['echo'] }],
    ['s.extra', 'unknownField', { type: 'CLI', args: { cmd: 'x' }, extra: 1 }],
    ['s.idempotency_key', 'isString', { type: 'CLI', args: { cmd: 'x' }, idempotency_key: 1 }],
    ['s.idempotency_key', 'maxLength', { type: 'CLI', args: { cmd: 'x' }, idempotency_key: 'k'.repeat(256) }],
    ['s.args.cmd', 'isString', { type: 'CLI', args: {} }],
    ['s.args.cmd', 'minLength', cli({ cmd: '' })],
    ['s.args.args', 'isArray', cli({ args: 'x' })],
    ['s.args.args', 'isString', cli({ args: [1] })],
    ['s.args.timeout_ms', 'isInt', cli({ timeout_ms: '5' })],
    ['s.args.effect', 'isIn', cli({ effect: 'twice' })],
    ['s.args.cwd', 'isString', cli({ cwd: null })],
    ['s.args.method', 'isHttpMethod', http({ method: 'TRACE' })],
    ['s.args.url', 'isHttpUrl', http({ url: 'file:///etc/passwd' })],
    ['s.args.url', 'isHttpUrl', http({ url: '/relative' })],
    ['s.args.headers', 'isHttpHeaders', http({ headers: { a: 'x\r\nb: y' } })],
    ['s.args.headers', 'isHttpHeaders', http({ headers: { 'a b': 'x' } })],
    ['s.args.headers', 'isHttpHeaders', http({ headers: { a: 1 } })],
    ['s.args.headers', 'isHttpHeaders', http({ headers: [] })],
    ['s.args.op', 'isIn', fs({ path: 'x' })],
    ['s.args.op', 'isIn', fs({ op: 'toString' })],
    ['s.args.path', 'isString', fs({ op: 'read' })],
    ['s.args.content', 'isString', fs({ op: 'write', path: 'x' })],
    ['s.args.encoding', 'isIn', fs({ op: 'write', path: 'x', content: '', encoding: 'hex' })],
    ['s.args.old_text', 'minLength', fs({ op: 'edit', path: 'x', old_text: '', new_text: 'y' })],
    ['s.args.conversation_key', 'conversationKey', { type: 'Message', args: { conversation_key: 'x', text: 'y' } }],
    ['s.args', 'maxJsonBytes', cli({ blob: 'x'.repeat(LIMITS.stepArgsBytes) })],
    ['s.postcondition', 'maxJsonBytes', { ...cli({}), postcondition: 'x'.repeat(LIMITS.postconditionBytes) }],
  ])('names %s by the rule %s', (field, rule, action) => {
    expect(refusalOf(() => validateAction(action, 's')).details).toEqual([expect.objectContaining({ field, rule })]);
  });
});

describe('requireExecutable', () => {
  const steps = ACTION_TYPES.map((type) => ({ type, args: { op: 'read', signal: 's' } }) as unknown as Action);

  it('refuses the types that are not executed, each by its place', () => {
    const { details } = refusalOf(() => requireExecutable(steps, 'payload.steps'));
    const refused = ACTION_TYPES.flatMap((type, i) => (EXECUTED_ACTIONS.has(type) ? [] : [`payload.steps[${i}].type`]));
    expect(details.map(({ field }) => field)).toEqual(refused);
    expect(refused).toHaveLength(9);
  });

  it('refuses to watch for anything but a signal', () => {
    const watch = (args: object) => requireExecutable([validateAction({ type: 'Watch', args })], 'steps');
    expect(() => watch({ signal: 's', timeout_ms: 5 })).not.toThrow();
    for (const args of [
      {},
      { signal: '' },
      { signal: 's', timeout_ms: 0 },
      { signal: 'x'.repeat(LIMITS.signalNameLength + 1) },
    ]) {
      expect(refusalOf(() => watch(args)).details).toEqual([
        expect.objectContaining({ field: 'steps[0].args.signal', rule: 'executable' }),
      ]);
    }
  });

  it('refuses a filesystem operation that is not executed', () => {
    const patch = validateAction(fs({ op: 'apply_patch', patch: 'p' }));
    expect(refusalOf(() => requireExecutable([patch], 'steps')).details).toEqual([
      expect.objectContaining({ field: 'steps[0].args.op', rule: 'executable' }),
    ]);
    expect(() =>
      requireExecutable([patch], 'steps', { filesystemOps: new Set(['apply_patch'] as const) }),
    ).not.toThrow();
  });

  it('goes by the set it is given', () => {
    expect(() => requireExecutable(steps, 'steps', { types: new Set(ACTION_TYPES) })).not.toThrow();
    expect(isExecutable('Mcp')).toBe(false);
    expect(isExecutable('Mcp', new Set(['Mcp'] as const))).toBe(true);
  });
});

describe('defaultEffectOf', () => {
  it.each([
    ['once', cli({})],
    ['read', cli({ effect: 'read' })],
    ['idempotent', cli({ effect: 'idempotent' })],
    ['read', http({})],
    ['read', http({ method: 'head' })],
    ['once', http({ effect: 'once' })],
    ['once', http({ method: 'POST' })],
    ['once', http({ method: 'PATCH' })],
    ['idempotent', http({ method: 'POST', headers: { 'IDEMPOTENCY-key': 'k' } })],
    ['idempotent', http({ method: 'PUT' })],
    ['idempotent', http({ method: 'delete' })],
    ['read', fs({ op: 'read' })],
    ['read', fs({ op: 'list' })],
    ['read', fs({ op: 'glob' })],
    ['read', fs({ op: 'grep' })],
    ['idempotent', fs({ op: 'write' })],
    ['once', fs({ op: 'edit' })],
    ['once', fs({ op: 'apply_patch' })],
    ['idempotent', { type: 'Message', args: {} }],
    ['read', { type: 'Llm', args: {} }],
    ['once', { type: 'Mcp', args: {} }],
    ['once', { type: 'Node', args: {} }],
    ['once', { type: 'Desktop', args: {} }],
    ['read', { type: 'Desktop', args: { op: 'screenshot', effect: 'read' } }],
    ['idempotent', { type: 'Node', args: { capability: 'tyrum.fs.write', effect: 'idempotent' } }],
    ['once', { type: 'Pay', args: { effect: 'read' } }],
  ])('is %s for %j', (effect, action) => expect(defaultEffectOf(action as Action)).toBe(effect));
});
