import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { renderText } from './chart';
import { inWorkspace } from './workspace';

jest.setTimeout(120_000);

interface Schema {
  readonly maximum?: number;
  type?: string;
  enum?: string[];
  properties?: Record<string, Schema>;
  $ref?: string;
}

const schema = JSON.parse(readFileSync(inWorkspace('k8s', 'chart', 'values.schema.json'), 'utf8')) as Schema & {
  $defs: Record<string, Schema>;
};
const defaults = parse(readFileSync(inWorkspace('k8s', 'chart', 'values.yaml'), 'utf8')) as Record<string, unknown>;

/** Values whose shape a plain `other` would break, each with one that the schema takes. */
const samples: Readonly<Record<string, unknown>> = {
  'image.pullSecrets': [{ name: 'other' }],
  'secret.bootstrapToken': 'another-token-of-some-length',
  'secret.databaseUrl': 'postgres://other.example/tyrum',
  'secret.redisUrl': 'redis://other.example:6379',
  'secret.auditKey': 'B'.repeat(42) + 'A',
  'secret.secretKeys': 'B'.repeat(42) + 'A',
  'secret.webhookKey': 'b'.repeat(32),
  'secret.oidcClientSecret': 'another-of-some-length',
  approvalTools: ['Other'],
  httpAllow: ['other'],
  drainNoticeMs: 1000,
  tenantMaxStoredBytes: 1_000_000_000_000,
  's3.endpoint': 'https://other.example',
  'oidc.issuer': 'https://other.example',
  'oidc.redirectUri': 'https://other.example/oidc/callback',
  'oidc.groups': [{ group: 'other', tenant: 'other', role: 'admin' }],
  'oidc.scopes': 'openid other',
  'edge.allowedOrigins': ['https://other.example'],
  'edge.trustedProxies': ['192.0.2.1'],
  'model.baseUrl': 'https://other.example/v1',
  'model.price': '1,2',
  'persistence.home.size': '7Gi',
  'desktopRuntime.size': '7Gi',
  'persistence.workspaces.size': '7Gi',
  tolerations: [{ operator: 'Exists' }],
  'ingress.paths': ['/other'],
  'networkPolicy.edgeFrom': [{ podSelector: {} }],
  'networkPolicy.metricsFrom': [{ podSelector: {} }],
  'networkPolicy.dataPorts': [7432],
  'serviceMonitor.interval': '7s',
};
/** The chart under each values file, before a value is changed. */
const unchanged = Promise.all(
  ['everything', 'cluster', 'single'].map(async (values) => [values, await renderText(values)] as const),
);
const rule = { group: 'ops', tenant: 'default', role: 'admin' };
const objectSample = { other: 'other' };

function resolve(node: Schema | undefined): Schema {
  return node?.$ref ? (schema.$defs[node.$ref.split('/').at(-1) ?? ''] ?? {}) : (node ?? {});
}

/** Every value that can be set, by path: what the schema does not take apart further. */
function leaves(node: Schema, prefix = ''): [string, Schema][] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]): [string, Schema][] => {
    const resolved = resolve(child);
    const path = `${prefix}${name}`;
    return resolved.properties ? leaves(resolved, `${path}.`) : [[path, resolved]];
  });
}

/** Values that differ from the default; at least one of them differs from any other value too. */
function alternatives(path: string, node: Schema): unknown[] {
  if (path in samples) return [samples[path]];
  if (node.enum) return node.enum;
  if (node.type === 'boolean') return [true, false];
  if (node.type === 'integer') return [5, 5000, ...(node.maximum === undefined ? [] : [node.maximum])];
  return [node.type === 'object' ? objectSample : 'other'];
}

async function changesSomething(path: string, node: Schema): Promise<boolean> {
  for (const [values, before] of await unchanged) {
    for (const value of alternatives(path, node)) {
      // A refusal is not a use: another base may take the value.
      const after = await renderText(values, { [path]: value }).catch(() => before);
      if (after !== before) return true;
    }
  }
  return false;
}

const settable = leaves(schema).filter(([path]) => path !== 'global');

/** What helm says on its way out; the command line, which holds the values, is not part of it. */
async function refusal(values: string | undefined, settings?: Record<string, unknown>): Promise<string> {
  const error: unknown = await renderText(values, settings).then(
    () => new Error('accepted'),
    (thrown: unknown) => thrown,
  );
  return (error as { stderr?: string }).stderr ?? 'accepted';
}

test('the schema and values.yaml name the same values', () => {
  const inValues = (path: string): unknown =>
    path.split('.').reduce<unknown>((node, name) => (node as Record<string, unknown> | undefined)?.[name], defaults);
  expect(settable.length).toBeGreaterThan(50);
  expect(settable.filter(([path]) => inValues(path) === undefined).map(([path]) => path)).toEqual([]);
});

test('every value changes what is deployed', async () => {
  const unused: string[] = [];
  for (const [path, node] of settable) if (!(await changesSomething(path, node))) unused.push(path);
  expect(unused).toEqual([]);
});

describe('refused, with a message that says why', () => {
  test.each<[string, string, Record<string, unknown>, RegExp]>([
    ['an unknown mode', 'single', { mode: 'both' }, /mode/],
    ['a misspelt value', 'cluster', { 'worker.replica': 3 }, /replica\b/],
    ['no replicas', 'cluster', { 'edge.replicas': 0 }, /edge.replicas/],
    ['a drain of 25 ms', 'single', { drainMs: 25 }, /drainMs/],
    ['a word for a number', 'single', { leaseTtlMs: 'long' }, /leaseTtlMs.*integer/],
    ['turns kept for no day', 'single', { 'retention.turnDays': 0 }, /retention.turnDays/],
    ['an unknown policy', 'single', { policy: 'none' }, /policy/],
    ['a database that is not Postgres', 'everything', { 'secret.databaseUrl': 'mysql://x' }, /must be postgres:/],
    ['a Redis that is none', 'everything', { 'secret.redisUrl': 'http://x' }, /must be redis:/],
    ['a short bootstrap token', 'everything', { 'secret.bootstrapToken': 'abc' }, /at least 16 characters/],
    ['a cluster without a database', 'everything', { 'secret.databaseUrl': '' }, /mode=cluster needs a database/],
    ['a Redis backplane without Redis', 'everything', { 'secret.redisUrl': '' }, /backplane=redis needs a Redis/],
    ['a short key of secrets', 'everything', { 'secret.secretKeys': 'abc' }, /must be 1 to 10 keys/],
    ['a short webhook key', 'everything', { 'secret.webhookKey': 'abc' }, /must be 32 to 256 characters/],
    ['an audit key of other length', 'everything', { 'secret.auditKey': 'abc' }, /must be 32 bytes as base64url/],
    ['a short OIDC secret', 'everything', { 'secret.oidcClientSecret': 'abc' }, /must have at least 16 characters/],
    ['half an OpenID provider', 'everything', { 'oidc.clientId': '' }, /oidc.clientId.* go together/],
    ['a provider without a secret', 'everything', { 'secret.oidcClientSecret': '' }, /oidcClientSecret go together/],
    ['a rule with a role of others', 'single', { 'oidc.groups': [{ ...rule, role: 'node' }] }, /oidc.groups/],
    ['half a key to the bucket', 'everything', { 'secret.s3AccessKeyId': '' }, /s3SecretAccessKey go together/],
    ['a bucket server without a bucket', 'single', { 's3.endpoint': 'https://x' }, /about s3.bucket/],
    ['a password in the address of the bucket', 'single', { 's3.endpoint': 'https://a:b@x' }, /s3.endpoint/],
    ['a list in a list', 'single', { 'edge.trustedProxies': ['10.0.0.0/8,::1'] }, /edge.trustedProxies/],
    ['a notice longer than the drain allows', 'single', { drainNoticeMs: 3751 }, /at most 15 % of drainMs/],
    ['no bootstrap token', 'everything', { 'secret.bootstrapToken': '' }, /a bootstrap token is needed/],
    ['two sources of secrets', 'everything', { 'secret.existing': 'x' }, /exclude each other/],
    ['Postgres in single mode', 'everything', { mode: 'single' }, /mode=single runs on SQLite alone/],
    ['autoscaling in single mode', 'single', { 'edge.autoscaling.enabled': true }, /autoscaling needs mode=cluster/],
    [
      'desktops in single mode',
      'single',
      { 'desktopRuntime.enabled': true },
      /desktopRuntime.enabled needs mode=cluster/,
    ],
    [
      'a minimum above the maximum',
      'everything',
      { 'edge.autoscaling.minReplicas': 99 },
      /must not exceed maxReplicas/,
    ],
    ['an ingress without a host', 'everything', { 'ingress.host': '' }, /ingress.enabled needs ingress.host/],
  ])('%s', async (_name, values, settings, message) => {
    expect(await refusal(values, settings)).toMatch(message);
  });

  test('the chart as it is, which has no secrets', async () => {
    expect(await refusal(undefined)).toMatch(/a bootstrap token is needed/);
  });

  test('a refused secret is not printed', async () => {
    const settings = {
      'secret.databaseUrl': 'mysql://user:plaintext@x',
      'secret.bootstrapToken': 'plaintext',
      'secret.auditKey': 'plaintext',
      'secret.secretKeys': 'plaintext',
      'secret.webhookKey': 'plaintext',
      'secret.oidcClientSecret': 'plaintext',
    };
    for (const [path, value] of Object.entries(settings)) {
      expect(await refusal('everything', { [path]: value })).not.toContain('plaintext');
    }
  });
});
