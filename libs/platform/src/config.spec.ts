import { inspect } from 'node:util';
import { ConfigError, type LoadOptions, loadConfig, renderHelp } from './config';
import { KNOWN_VARIABLES } from './variables';

const OPTIONS: LoadOptions = { cwd: '/srv', defaultInstanceId: () => 'host-1-abcd' };
const TOKEN = 'tyrum-token.v1.0b5cdd0e-92a7-4f0e-8f6a-0d6d3b6f2a11.c2VjcmV0LXNlY3JldC1zZWNyZXQ';

const DAY_MS = 86_400_000;

const load = (env: Record<string, string>, app: Parameters<typeof loadConfig>[0] = 'edge') =>
  loadConfig(app, env, OPTIONS);

/** An app that reads the variable: most are the edge's. */
function readerOf(name: string): Parameters<typeof loadConfig>[0] {
  return renderHelp('edge').includes(`  ${name}\n`) ? 'edge' : 'desktop-runtime';
}

function problemsOf(env: Record<string, string>, app: Parameters<typeof loadConfig>[0] = 'edge'): string[] {
  try {
    load(env, app);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ variable }) => variable);
    throw error;
  }
  return [];
}

describe('defaults', () => {
  it('runs a whole installation on SQLite below the working directory', () => {
    expect(load({})).toEqual({
      app: 'edge',
      instanceId: 'host-1-abcd',
      home: '/srv/.tyrum',
      database: { kind: 'sqlite', path: '/srv/.tyrum/tyrum.db' },
      backplane: { kind: 'local' },
      roles: ['edge', 'worker', 'scheduler'],
      host: '127.0.0.1',
      port: 8788,
      leaseTtlMs: 10_000,
      workspaceRoot: '/srv/.tyrum/workspaces',
      logLevel: 'info',
      policy: 'standard',
      approvalTools: [],
      artifactMaxBytes: 1_073_741_824,
      drainMs: 25_000,
      drainNoticeMs: 0,
      workerConcurrency: 50,
      wire: {
        frameMaxBytes: 1_048_576,
        bodyMaxBytes: 1_048_576,
        jsonMaxDepth: 64,
        messagesBeforeHandshake: 4,
        requestsInFlight: 64,
        sendBufferBytes: 4_194_304,
        pingIntervalMs: 15_000,
        missedPings: 2,
        connectionsPerDevice: 8,
        handshakeMs: 10_000,
      },
      httpAllow: [],
      retention: { turnsMs: 90 * DAY_MS, eventsMs: 7 * DAY_MS, historyMs: 30 * DAY_MS, auditMs: 365 * DAY_MS },
      limits: { perAddress: 50_000, perToken: 50_000, perTenant: 200_000, connectionsPerAddress: 5_000 },
      trustedProxies: [],
      desktops: { edges: ['ws://127.0.0.1:8788/ws'], capacity: 4, sandbox: 'bubblewrap' },
      allowedOrigins: [],
      unknownVariables: [],
    });
  });

  it('gives balancers time to notice where there can be some, and no more than its phase has', () => {
    const postgres = { TYRUM_DATABASE_URL: 'postgres://db/tyrum' };
    expect(load(postgres).drainNoticeMs).toBe(2_500);
    expect(load({ ...postgres, TYRUM_DRAIN_MS: '1000' }).drainNoticeMs).toBe(100);
    expect(load(postgres, 'worker').drainNoticeMs).toBe(0);
    expect(load({ TYRUM_DRAIN_MS: '10000', TYRUM_DRAIN_NOTICE_MS: '1500' }).drainNoticeMs).toBe(1_500);
    expect(problemsOf({ TYRUM_DRAIN_MS: '10000', TYRUM_DRAIN_NOTICE_MS: '1501' })).toEqual(['TYRUM_DRAIN_NOTICE_MS']);
    expect(problemsOf({ TYRUM_DRAIN_MS: 'soon', TYRUM_DRAIN_NOTICE_MS: '1501' })).toEqual(['TYRUM_DRAIN_MS']);
  });

  it.each([
    ['edge', 8788, ['edge', 'worker', 'scheduler']],
    ['worker', 8789, ['worker']],
    ['scheduler', 8790, ['scheduler']],
    ['desktop-runtime', 8791, []],
  ] as const)('gives %s port %i and its roles', (app, port, roles) => {
    expect(load({}, app)).toMatchObject({ app, port, roles });
  });

  it('makes an instance id from the host, which is valid and differs each time', () => {
    const ids = [1, 2].map(() => loadConfig('worker', {}).instanceId);
    expect(ids[0]).toMatch(/^[A-Za-z0-9._-]{1,128}$/);
    expect(ids[0]).not.toBe(ids[1]);
  });

  it('counts an empty or blank variable as unset', () => {
    expect(load({ TYRUM_REDIS_URL: '', TYRUM_PORT: '  ' })).toEqual(load({}));
  });

  it('is frozen all the way down', () => {
    const config = load({ TYRUM_MODEL_BASE_URL: 'http://m/v1', TYRUM_MODEL: 'm' });
    for (const part of [config, config.database, config.backplane, config.roles, config.model]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });
});

describe('paths', () => {
  it('resolves against the working directory and keeps absolute ones', () => {
    const config = load({ TYRUM_HOME: 'data', TYRUM_DATABASE_URL: 'sqlite:/var/t.db', TYRUM_WORKSPACE_ROOT: 'ws' });
    expect(config).toMatchObject({
      home: '/srv/data',
      database: { kind: 'sqlite', path: '/var/t.db' },
      workspaceRoot: '/srv/ws',
    });
  });

  it('puts database and workspaces into a moved home', () => {
    expect(load({ TYRUM_HOME: '/data' })).toMatchObject({
      database: { path: '/data/tyrum.db' },
      workspaceRoot: '/data/workspaces',
    });
  });
});

describe('database, backplane and roles', () => {
  const POSTGRES = { TYRUM_DATABASE_URL: 'postgresql://u:pw@db/tyrum' };
  const POOLED = { TYRUM_DATABASE_URL: 'postgres://u:pw@pooler:6432/tyrum?pgbouncer=true' };
  const REDIS = { TYRUM_REDIS_URL: 'redis://:pw@cache:6379/0' };

  it.each([
    ['SQLite', {}, 'local', ['edge', 'worker', 'scheduler']],
    ['Postgres', POSTGRES, 'postgres', ['edge']],
    ['Redis beside SQLite', REDIS, 'redis', ['edge', 'worker', 'scheduler']],
    ['Redis beside Postgres', { ...POSTGRES, ...REDIS }, 'redis', ['edge']],
    ['local on Postgres', { ...POSTGRES, TYRUM_BACKPLANE: 'local' }, 'local', ['edge']],
    ['postgres though Redis is there', { ...POSTGRES, ...REDIS, TYRUM_BACKPLANE: 'postgres' }, 'postgres', ['edge']],
    ['Postgres behind PgBouncer', POOLED, 'local', ['edge']],
    ['Redis beside PgBouncer', { ...POOLED, ...REDIS }, 'redis', ['edge']],
    ['roles given', { ...POSTGRES, TYRUM_ROLES: 'scheduler, edge' }, 'postgres', ['edge', 'scheduler']],
  ] as [string, Record<string, string>, string, string[]][])('%s', (_name, env, kind, roles) => {
    const config = load(env);
    expect(config.backplane.kind).toBe(kind);
    expect(config.roles).toEqual(roles);
  });

  it('takes a bucket with its key, or without where the machine has one', () => {
    expect(load({ TYRUM_S3_BUCKET: 'evidence' }).s3).toEqual({ bucket: 'evidence', region: 'us-east-1' });
    const key = { TYRUM_S3_ACCESS_KEY_ID: 'id', TYRUM_S3_SECRET_ACCESS_KEY: 'secret-of-it' };
    const { s3 } = load({ TYRUM_S3_BUCKET: 'evidence', TYRUM_S3_ENDPOINT: 'http://s3:9000', ...key });
    expect(s3).toMatchObject({ endpoint: 'http://s3:9000', credentials: { accessKeyId: 'id' } });
    expect(s3?.credentials?.secretAccessKey.reveal()).toBe('secret-of-it');
    expect(JSON.stringify(s3)).not.toContain('secret-of-it');
    expect(problemsOf({ TYRUM_S3_ENDPOINT: 'http://s3:9000' })).toEqual(['TYRUM_S3_BUCKET']);
    expect(problemsOf({ TYRUM_S3_BUCKET: 'evidence', TYRUM_S3_ACCESS_KEY_ID: 'id' })).toEqual([
      'TYRUM_S3_SECRET_ACCESS_KEY',
    ]);
  });

  it('hands the URLs over only when asked', () => {
    const config = load({ ...POSTGRES, ...REDIS });
    expect(config.database.kind === 'postgres' && config.database.url.reveal()).toBe(POSTGRES.TYRUM_DATABASE_URL);
    expect(config.backplane.kind === 'redis' && config.backplane.url.reveal()).toBe(REDIS.TYRUM_REDIS_URL);
  });

  it('refuses postgres on SQLite and behind PgBouncer, and redis without a URL', () => {
    expect(problemsOf({ ...POOLED, TYRUM_BACKPLANE: 'postgres' })).toEqual(['TYRUM_BACKPLANE']);
    expect(problemsOf({ TYRUM_BACKPLANE: 'postgres' })).toEqual(['TYRUM_BACKPLANE']);
    expect(problemsOf({ TYRUM_BACKPLANE: 'redis' })).toEqual(['TYRUM_REDIS_URL']);
  });

  it('reports the cause only, when a rule depends on a bad variable', () => {
    expect(problemsOf({ TYRUM_BACKPLANE: 'redis', TYRUM_REDIS_URL: 'nonsense' })).toEqual(['TYRUM_REDIS_URL']);
    expect(problemsOf({ TYRUM_BACKPLANE: 'postgres', TYRUM_DATABASE_URL: 'mysql://x' })).toEqual([
      'TYRUM_DATABASE_URL',
    ]);
  });
});

describe('model', () => {
  const BASE = { TYRUM_MODEL_BASE_URL: 'https://models.example/v1', TYRUM_MODEL: 'small' };

  it('is absent, or has base URL, name and perhaps a key', () => {
    expect(load({}).model).toBeUndefined();
    expect(load(BASE).model).toEqual({ baseUrl: BASE.TYRUM_MODEL_BASE_URL, name: 'small' });
    const price = { promptMicros: 2.5, completionMicros: 10 };
    expect(load({ ...BASE, TYRUM_MODEL_PRICE: '2.50,10' }).model?.price).toEqual(price);
    expect(load({ ...BASE, TYRUM_MODEL_API_KEY: 'sk-1' }).model?.apiKey?.reveal()).toBe('sk-1');
  });

  it('refuses a half', () => {
    expect(problemsOf({ TYRUM_MODEL: 'small' })).toEqual(['TYRUM_MODEL_BASE_URL']);
    expect(problemsOf({ TYRUM_MODEL_BASE_URL: BASE.TYRUM_MODEL_BASE_URL })).toEqual(['TYRUM_MODEL']);
    expect(problemsOf({ TYRUM_MODEL_API_KEY: 'sk-1' })).toEqual(['TYRUM_MODEL_BASE_URL', 'TYRUM_MODEL']);
    expect(problemsOf({ TYRUM_MODEL_PRICE: '1,2' })).toEqual(['TYRUM_MODEL_BASE_URL', 'TYRUM_MODEL']);
  });
});

describe('an OpenID provider', () => {
  const WHOLE = {
    TYRUM_OIDC_ISSUER: 'https://login.example/realm',
    TYRUM_OIDC_CLIENT_ID: 'tyrum',
    TYRUM_OIDC_CLIENT_SECRET: 'a-secret-of-the-client',
    TYRUM_OIDC_REDIRECT_URI: 'https://tyrum.example/oidc/callback',
    TYRUM_OIDC_GROUPS: '[{"group":"ops"}]',
  };

  it('is absent, or whole', () => {
    expect(load({ TYRUM_OIDC_SCOPES: 'openid groups' }).oidc).toBeUndefined();
    const { oidc } = load({ ...WHOLE, TYRUM_OIDC_SCOPES: 'profile openid groups', TYRUM_OIDC_SESSION_MINUTES: '60' });
    expect(oidc).toMatchObject({ scopes: 'profile openid groups', sessionMs: 3_600_000, groupsClaim: 'groups' });
    expect(JSON.stringify(oidc)).not.toContain('a-secret');
    const { TYRUM_OIDC_CLIENT_SECRET: _, ...rest } = WHOLE;
    const fromFile = load({ ...rest, TYRUM_OIDC_CLIENT_SECRET_FILE: '/run/secrets/oidc' });
    expect(fromFile.oidc?.clientSecret).toEqual({ file: '/run/secrets/oidc' });
  });

  it('is refused as a half, naming what is missing', () => {
    for (const name of Object.keys(WHOLE)) expect(problemsOf({ ...WHOLE, [name]: '' })).toEqual([name]);
    expect(problemsOf({ ...WHOLE, TYRUM_OIDC_CLIENT_SECRET_FILE: 'x' })).toEqual(['TYRUM_OIDC_CLIENT_SECRET']);
    expect(problemsOf({ ...WHOLE, TYRUM_OIDC_ISSUER: 'x' })).toEqual(['TYRUM_OIDC_ISSUER']);
  });
});

describe('single values', () => {
  const bad: Record<string, string[]> = {
    TYRUM_HOME: ['~/tyrum'],
    TYRUM_DATABASE_URL: ['tyrum.db', 'sqlite:', 'sqlite::memory:', 'sqlite:///x', 'mysql://x', 'postgres:db'],
    TYRUM_REDIS_URL: ['localhost:6379', 'http://x', 'redis://'],
    TYRUM_BACKPLANE: ['kafka', 'Redis'],
    TYRUM_ROLES: ['worker', 'edge,edge', 'edge,cook', 'edge,'],
    TYRUM_HOST: ['a b', 'http://x', '-x'],
    TYRUM_PORT: ['-1', '65536', '80.5', '0x50', '1e3', 'http'],
    TYRUM_BOOTSTRAP_TOKEN: ['x', TOKEN.slice(0, -6), `${TOKEN}=`, TOKEN.replace('0b5c', 'zzzz')],
    TYRUM_LEASE_TTL_MS: ['499', '600001', '10s'],
    TYRUM_INSTANCE_ID: ['a b', 'ä', 'x'.repeat(129)],
    TYRUM_WORKSPACE_ROOT: ['~'],
    TYRUM_LOG_LEVEL: ['verbose', 'INFO'],
    TYRUM_POLICY: ['closed'],
    TYRUM_APPROVAL_TOOLS: ['a b', '1x', 'CLI,,'],
    TYRUM_DRAIN_MS: ['99', '600001'],
    TYRUM_DRAIN_NOTICE_MS: ['-1', '90001', '3751'],
    TYRUM_WORKER_CONCURRENCY: ['0', '1001'],
    TYRUM_HTTP_ALLOW: ['a b', ',', 'http://x'],
    TYRUM_RETENTION_TURN_DAYS: ['0', '-1', '90d', '36501'],
    TYRUM_RETENTION_EVENT_DAYS: ['0', '0.5'],
    TYRUM_RETENTION_HISTORY_DAYS: ['0', 'never'],
    TYRUM_TRUSTED_PROXIES: [
      '*',
      '0.0.0.0/0',
      '::/0',
      '10.0.0.0/33',
      'fd00::/129',
      '10.0.0.0/x',
      'proxy',
      '10.0.0.1,',
      'fe80::1%a',
    ],
    TYRUM_RETENTION_AUDIT_DAYS: ['0', 'ever'],
    TYRUM_AUDIT_KEY: ['short', 'A'.repeat(44), `${'A'.repeat(42)}B`],
    TYRUM_RATE_PER_ADDRESS: ['0', '1000000001', '1.5'],
    TYRUM_RATE_PER_TOKEN: ['0', '-1'],
    TYRUM_RATE_PER_TENANT: ['0', 'none'],
    TYRUM_CONNECTIONS_PER_ADDRESS: ['0', '1000001'],
    TYRUM_FRAME_MAX_BYTES: ['0', '4095', '16777217', '1MiB'],
    TYRUM_BODY_MAX_BYTES: ['4095', '16777217'],
    TYRUM_JSON_MAX_DEPTH: ['7', '257'],
    TYRUM_MESSAGES_BEFORE_HANDSHAKE: ['1', '101'],
    TYRUM_REQUESTS_IN_FLIGHT: ['0', '1025', '257'],
    TYRUM_SEND_BUFFER_BYTES: ['65535', '268435457'],
    TYRUM_PING_INTERVAL_MS: ['499', '600001', '15s'],
    TYRUM_MISSED_PINGS: ['0', '101'],
    TYRUM_CONNECTIONS_PER_DEVICE: ['0', '1001'],
    TYRUM_HANDSHAKE_MS: ['99', '60001'],
    TYRUM_S3_REGION: ['EU', 'a b'],
    TYRUM_S3_BUCKET: ['ab', 'A_B', 'a/b'],
    TYRUM_S3_ENDPOINT: ['s3:9000', 'http://u:p@s3', 'http://s3/?x'],
    TYRUM_S3_ACCESS_KEY_ID: ['a b'],
    TYRUM_S3_SECRET_ACCESS_KEY: ['a b'],
    TYRUM_ARTIFACT_MAX_BYTES: ['0', '1.5', '1073741825'],
    TYRUM_TENANT_MAX_STORED_BYTES: ['0', '10GB', '1000000000000001'],
    TYRUM_OIDC_ISSUER: ['issuer', 'http://issuer.example', 'https://issuer.example/?x=1', 'https://u:p@issuer.example'],
    TYRUM_OIDC_CLIENT_ID: ['ä', 'x'.repeat(257)],
    TYRUM_OIDC_CLIENT_SECRET: ['short', 'with a space in it, and long'],
    TYRUM_OIDC_CLIENT_SECRET_FILE: ['~/secret'],
    TYRUM_OIDC_REDIRECT_URI: ['https://t.example/callback', 'http://t.example/oidc/callback', '/oidc/callback'],
    TYRUM_OIDC_GROUPS: ['ops=admin', '{}', '[', '"x"'],
    TYRUM_OIDC_GROUPS_CLAIM: ['a b'],
    TYRUM_OIDC_SCOPES: ['groups', 'openid,groups', 'openidx', 'openid  x'],
    TYRUM_OIDC_SESSION_MINUTES: ['4', '1441', '8h'],
    TYRUM_SECRET_KEYS: ['short', `${'A'.repeat(42)}B`, `${'A'.repeat(43)},`, Array(11).fill('A'.repeat(43)).join()],
    TYRUM_EDGE_URL: ['edge:8788', 'http://edge/ws', 'ws://u:p@edge/ws', 'ws://edge/ws?token=x', 'ws://edge/ws,'],
    TYRUM_DESKTOPS: ['-1', '65'],
    TYRUM_DESKTOP_SANDBOX: ['off', 'Bubblewrap'],
    TYRUM_WEBHOOK_KEY: ['short', `${'x'.repeat(32)}!`],
    TYRUM_ALLOWED_ORIGINS: ['*', 'https://a.example/', 'https://a.example,', 'ftp://a', 'https://A.example'],
  };
  const model = { TYRUM_MODEL_BASE_URL: 'http://m', TYRUM_MODEL: 'm' };
  const badModel: Record<string, string[]> = {
    TYRUM_MODEL_BASE_URL: ['m', 'ftp://m', 'http://u:p@m/v1', 'http://m/?key=1'],
    TYRUM_MODEL: ['a b'],
    TYRUM_MODEL_API_KEY: ['a b'],
    TYRUM_MODEL_PRICE: ['2.50', '2.50,', '-1,2', '1e3,2', '2,5,1'],
  };
  const good: Record<string, string[]> = {
    TYRUM_PORT: ['0', '65535'],
    TYRUM_HOST: ['0.0.0.0', '::', 'localhost', 'edge-1.example'],
    TYRUM_BOOTSTRAP_TOKEN: [TOKEN],
    TYRUM_LEASE_TTL_MS: ['500', '600000'],
    TYRUM_INSTANCE_ID: ['x'.repeat(128)],
    TYRUM_ROLES: ['edge'],
    TYRUM_TRUSTED_PROXIES: ['10.0.0.0/8', '192.0.2.1, fd00::/8', '::1'],
  };
  const cases = (table: Record<string, string[]>) =>
    Object.entries(table).flatMap(([name, texts]) => texts.map((text) => [name, text] as const));

  it.each(cases(bad))('refuses %s=%s', (name, text) =>
    expect(problemsOf({ [name]: text }, readerOf(name))).toEqual([name]),
  );
  it.each(cases(badModel))('refuses %s=%s', (name, text) =>
    expect(problemsOf({ ...model, [name]: text })).toEqual([name]),
  );
  it.each(cases(good))('takes %s=%s', (name, text) => expect(problemsOf({ [name]: text })).toEqual([]));

  it('has a bad example of every variable, so that none goes unchecked', () => {
    expect(Object.keys({ ...bad, ...badModel }).sort()).toEqual([...KNOWN_VARIABLES].sort());
  });
});

it('lists everything wrong at once, with what it should be', () => {
  const env = { TYRUM_PORT: 'x', TYRUM_LEASE_TTL_MS: '1', TYRUM_BACKPLANE: 'postgres', TYRUM_MODEL: 'm' };
  expect(() => load(env)).toThrow(
    [
      'the configuration is invalid:',
      '  TYRUM_PORT must be an integer from 0 to 65535',
      '  TYRUM_LEASE_TTL_MS must be an integer from 500 to 600000',
      '  TYRUM_BACKPLANE must be local or redis when TYRUM_DATABASE_URL is SQLite',
      '  TYRUM_MODEL_BASE_URL must be set: TYRUM_MODEL_BASE_URL and TYRUM_MODEL go together',
    ].join('\n'),
  );
});

describe('secrets', () => {
  const CANARY = 'canary4711canary4711canary';

  it('never appear in an error, whichever variable they were put into', () => {
    for (const name of KNOWN_VARIABLES) {
      try {
        load({ [name]: ` ~${CANARY} ${CANARY}://` }, readerOf(name));
        throw new Error(`${name} was accepted`);
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        expect(inspect(error) + JSON.stringify(error) + String(error)).not.toContain(CANARY);
      }
    }
  });

  it('never appear in a printed config', () => {
    const config = load({
      TYRUM_DATABASE_URL: `postgres://u:${CANARY}@db/t`,
      TYRUM_REDIS_URL: `redis://:${CANARY}@cache`,
      TYRUM_BOOTSTRAP_TOKEN: TOKEN.replace(/[^.]+$/, CANARY),
      TYRUM_MODEL_BASE_URL: 'http://m',
      TYRUM_MODEL: 'm',
      TYRUM_MODEL_API_KEY: CANARY,
    });
    expect(config.bootstrapToken?.reveal()).toContain(CANARY);
    expect(inspect(config, { depth: 9, showHidden: true }) + JSON.stringify(config)).not.toContain(CANARY);
    expect(`${config.bootstrapToken} ${config.model?.apiKey}`).toBe('[redacted] [redacted]');
  });

  it('stay out of an app that does not need them, even when they are malformed', () => {
    const config = load({ TYRUM_BOOTSTRAP_TOKEN: 'malformed', TYRUM_MODEL_API_KEY: 'k' }, 'scheduler');
    expect(config).not.toHaveProperty('bootstrapToken');
    expect(config).not.toHaveProperty('model');
  });
});

it('names unknown variables and leaves those of the tests alone', () => {
  const env = { TYRUM_PROT: '1', TYRUM_TEST_X: '1', TYRUM_ADDR: '2', PATH: '/bin' };
  expect(load(env).unknownVariables).toEqual(['TYRUM_ADDR', 'TYRUM_PROT']);
});

it('refuses arguments without repeating what they hold', () => {
  const argv = ['--port=80', 's3cret', '--s3cret!'];
  expect(() => loadConfig('edge', {}, { ...OPTIONS, argv })).toThrow(
    /--port is not accepted.*\n.*argument 2 is not accepted.*\n.*argument 3 is/,
  );
});

it('helps with every variable the app reads, and no other', () => {
  for (const name of KNOWN_VARIABLES) expect(renderHelp(readerOf(name))).toContain(`  ${name}\n`);
  expect(renderHelp('edge')).not.toContain('TYRUM_EDGE_URL');
  expect(renderHelp('scheduler')).not.toContain('TYRUM_BOOTSTRAP_TOKEN');
  expect(renderHelp('worker')).toContain('Default: 8789');
  expect(renderHelp('edge')).toContain('Default: sqlite:<TYRUM_HOME>/tyrum.db');
});
