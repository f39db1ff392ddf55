import { toolCallToAction, toolDefinitions } from './model-tools';

const call = (name: string, input: unknown) =>
  toolCallToAction(name, typeof input === 'string' ? input : JSON.stringify(input));

describe('toolCallToAction', () => {
  it.each([
    ['cli', { cmd: 'ls', args: ['-l'] }, { type: 'CLI', args: { cmd: 'ls', args: ['-l'] } }],
    ['fs_read', { path: 'a' }, { type: 'Filesystem', args: { op: 'read', path: 'a' } }],
    [
      'fs_edit',
      { path: 'a', old_text: 'x', new_text: 'y' },
      { type: 'Filesystem', args: { op: 'edit', path: 'a', old_text: 'x', new_text: 'y' } },
    ],
    ['fs_list', '', { type: 'Filesystem', args: { op: 'list' } }],
    [
      'http_request',
      { method: 'GET', url: 'https://a.example/' },
      { type: 'Http', args: { method: 'GET', url: 'https://a.example/' } },
    ],
  ])('makes a step of %s', (name, input, action) => expect(call(name, input)).toMatchObject({ action }));

  it.each([
    ['no_such_tool', {}, /no tool/],
    ['cli', '{"cmd":', /not JSON/],
    ['cli', '[1]', /not a JSON object/],
    ['cli', 'null', /not a JSON object/],
    ['cli', { args: ['x'] }, /cmd/],
    ['fs_read', { path: 7 }, /path/],
    ['http_request', { method: 'GET', url: 'file:///etc/passwd' }, /url/],
  ])('tells the model what is wrong with %s %j', (name, input, message) => {
    const result = call(name, input);
    expect(result).not.toHaveProperty('action');
    expect((result as { error: string }).error).toMatch(message);
  });

  it('does not let a model say what may be repeated, nor which operation a tool is', () => {
    expect(call('cli', { cmd: 'pay', effect: 'idempotent' })).toMatchObject({ action: { args: { cmd: 'pay' } } });
    expect(JSON.stringify((call('cli', { cmd: 'pay', effect: 'read' }) as { action: object }).action)).not.toContain(
      'effect',
    );
    expect(call('fs_list', { op: 'write' })).toMatchObject({ action: { args: { op: 'list' } } });
  });
});

describe('toolDefinitions', () => {
  it('describes every tool by a closed schema', () => {
    const names = toolDefinitions().map(({ function: tool }) => tool.name);
    expect(names).toEqual(['cli', 'fs_read', 'fs_write', 'fs_edit', 'fs_list', 'fs_glob', 'fs_grep', 'http_request']);
    for (const { function: tool } of toolDefinitions()) {
      expect(tool.parameters).toMatchObject({
        type: 'object',
        additionalProperties: false,
        required: expect.any(Array),
      });
    }
  });
});
