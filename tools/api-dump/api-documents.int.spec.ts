import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EVENTS, REQUESTS, ROUTES, type RequestType } from '@tyrum/protocol';
import { REQUEST_EXAMPLES } from '@tyrum/protocol/testing';
import addFormats from 'ajv-formats';
import Ajv2020 from 'ajv/dist/2020';

const ROOT = join(__dirname, '..', '..');
const OPENAPI = join(ROOT, 'docs', 'openapi.json');
const ASYNCAPI = join(ROOT, 'docs', 'asyncapi.json');

/** Never throws: `stderr` says what was wrong. */
function run(args: readonly string[]): { status: number | null; stderr: string } {
  return spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
}

const validate = (openapi: string, asyncapi: string) => run(['tools/api-dump/validate-api.mjs', openapi, asyncapi]);

describe('the published documents', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tyrum-api-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('are what the contracts say: after a change, run `npm run api:dump`', () => {
    expect(run(['-r', '@swc-node/register', 'tools/api-dump/dump-api.ts', '--check'])).toMatchObject({
      status: 0,
      stderr: '',
    });
  });

  it('are valid OpenAPI 3.1 and AsyncAPI 3', () => {
    expect(validate(OPENAPI, ASYNCAPI)).toMatchObject({ status: 0, stderr: '' });
  });

  it.each([
    ['openapi', OPENAPI, '"summary"', '"summery"'],
    ['asyncapi', ASYNCAPI, '"operations"', '"operation"'],
  ])('would not be valid with one word misspelt: %s', (name, path, word, misspelt) => {
    const broken = join(folder, `${name}.json`);
    writeFileSync(broken, readFileSync(path, 'utf8').replace(word, misspelt));
    const { status, stderr } = name === 'openapi' ? validate(broken, ASYNCAPI) : validate(OPENAPI, broken);
    expect(status).toBe(1);
    expect(stderr).toContain(`${name}:`);
  });

  it('hold every route, request type and event type', () => {
    const openapi = JSON.parse(readFileSync(OPENAPI, 'utf8')) as { paths: Record<string, Record<string, object>> };
    const asyncapi = JSON.parse(readFileSync(ASYNCAPI, 'utf8')) as { components: { messages: Record<string, object> } };
    const routes = Object.entries(openapi.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
    );
    expect(routes.sort()).toEqual(Object.keys(ROUTES).sort());
    const messages = Object.keys(asyncapi.components.messages);
    expect(messages).toEqual(
      expect.arrayContaining([
        ...Object.keys(REQUESTS).flatMap((type) => [`request.${type}`, `response.${type}`]),
        ...Object.keys(EVENTS).map((type) => `event.${type}`),
      ]),
    );
  });

  it('say what the gateway asks, and what of it others ask as well', () => {
    const { operations } = JSON.parse(readFileSync(ASYNCAPI, 'utf8')) as {
      operations: Record<string, { action: string; messages: { $ref: string }[]; reply?: object }>;
    };
    const asked = (action: string) =>
      Object.values(operations)
        .filter((operation) => operation.action === action && operation.reply !== undefined)
        .map(({ messages }) => messages[0]?.$ref.replace('#/channels/socket/messages/request.', ''));
    expect(asked('send').sort()).toEqual(['ping', 'task.cancel', 'task.execute']);
    expect(asked('receive').sort()).toEqual(Object.keys(REQUESTS).sort());
  });

  it('take the payloads that the checks take, and refuse what they refuse', () => {
    const ajv = new Ajv2020({ strict: false });
    addFormats(ajv);
    ajv.addSchema(JSON.parse(readFileSync(ASYNCAPI, 'utf8')) as object, 'asyncapi');
    for (const type of Object.keys(REQUESTS) as RequestType[]) {
      const check = ajv.compile({ $ref: `asyncapi#/components/messages/request.${type}/payload` });
      const [smallest, fullest] = REQUEST_EXAMPLES[type];
      const isValid = (payload: object) => check({ request_id: 'r', type, payload });
      expect([type, isValid(smallest), isValid(fullest)]).toEqual([type, true, true]);
      expect([type, isValid({ ...fullest, surplus: 1 })]).toEqual([type, false]);
      for (const name of Object.keys(smallest)) {
        const rest = Object.fromEntries(Object.entries(smallest).filter(([key]) => key !== name));
        expect([type, name, isValid(rest)]).toEqual([type, name, false]);
      }
    }
  });
});
