import type { Action } from './actions';
import { checkTriggerReferences, resolveTriggerReferences, type TriggerFacts } from './trigger-references';

const cli = (cmd: string, ...args: string[]): Action => ({ type: 'CLI', args: { cmd, args } }) as Action;
const facts = (body: unknown, headers: Record<string, string> = {}): TriggerFacts => ({
  body: typeof body === 'string' ? body : JSON.stringify(body),
  headers,
});
const argsOf = (action: Action | undefined): unknown => (action?.args as { args?: unknown }).args;

describe('references to a trigger', () => {
  it('become words of argv, whole and as they are, whatever is in them', () => {
    const nasty = '"; rm -rf / #$(x)`y`\n';
    const step = cli('echo', '$trigger.body/a', '$trigger.body/b/1', '$trigger.headers.x-event', 'not $trigger.body/a');
    const [made] = resolveTriggerReferences(
      [step],
      facts({ a: nasty, b: [0, { c: 1 }] }, { 'x-event': 'push' }),
      'steps',
    );
    expect(argsOf(made)).toEqual([nasty, '{"c":1}', 'push', 'not $trigger.body/a']);
    expect(argsOf(resolveTriggerReferences([cli('x', '$trigger.body')], facts('plain'), 'steps')[0])).toEqual([
      'plain',
    ]);
  });

  it('stay JSON in args that take JSON, and are not looked at again', () => {
    const node = {
      type: 'Node',
      args: { capability: 'tyrum.a.b', deep: ['$trigger.body/n'], t: '$trigger.body/t' },
    } as Action;
    const [made] = resolveTriggerReferences([node], facts({ n: 5, t: '$trigger.body/n' }), 'steps');
    expect(made?.args).toEqual({ capability: 'tyrum.a.b', deep: [5], t: '$trigger.body/n' });
  });

  it('bring no handle of a secret into a request', () => {
    const post = (args: object): Action =>
      ({ type: 'Http', args: { method: 'POST', url: 'https://x', ...args } }) as Action;
    const resolve = (args: object) =>
      resolveTriggerReferences(
        [post(args)],
        facts({ a: 'secret:x', deep: [{ b: 'secret:x' }] }, { h: 'Bearer secret:x' }),
        's',
      );
    for (const args of [
      { body: '$trigger.body/a' },
      { body: { c: '$trigger.body/deep' } },
      { headers: { authorization: '$trigger.headers.h' } },
    ])
      expect(() => resolve(args)).toThrow('must not name a secret');
    expect(resolve({ body: '$trigger.body' })).toHaveLength(1);
  });

  it('reach by JSON pointer what has slashes and tildes in its name, and nothing that is inherited', () => {
    const step = cli('x', '$trigger.body/a~1b/~0');
    expect(argsOf(resolveTriggerReferences([step], facts({ 'a/b': { '~': 'y' } }), 's')[0])).toEqual(['y']);
    for (const pointer of ['constructor', '__proto__', 'a/length'])
      expect(() => resolveTriggerReferences([cli('x', `$trigger.body/${pointer}`)], facts({ a: [] }), 's')).toThrow();
  });

  it.each([
    ['$trigger.body/missing', facts({ a: 1 })],
    ['$trigger.body/a', facts('no json')],
    ['$trigger.headers.missing', facts({})],
    ['$trigger.headers.x/a', facts({}, { x: 'y' })],
  ])('name the field where %s is not there', (reference, trigger) => {
    const steps = [cli('true'), cli('echo', 'x', reference)];
    expect(() => resolveTriggerReferences(steps, trigger, 'steps')).toThrow(
      expect.objectContaining({
        code: 'contract_error',
        details: [expect.objectContaining({ field: 'steps[1].args.args[1]', rule: 'triggerReference' })],
      }),
    );
  });

  it('decide neither the command nor the program of an interpreter', () => {
    const bad = [
      cli('$trigger.body/x'),
      cli('sh', '-c', '$trigger.body'),
      cli('bash', '-ec', '$trigger.body/a'),
      cli('node', '-e', '$trigger.body'),
    ];
    for (const step of bad) expect(() => checkTriggerReferences([step], 'steps')).toThrow(/steps\[0\]\.args/);
    expect(() =>
      checkTriggerReferences([cli('sh', '-c', 'echo "$1"', 'sh', '$trigger.body/a')], 'steps'),
    ).not.toThrow();
  });
});
