import {
  type Parse,
  database,
  host,
  integer,
  jsonList,
  listOf,
  matching,
  modelPrice,
  network,
  oneOf,
  path,
  plainHttpUrl,
  redisUrl,
  safeUrl,
  secretMatching,
  subsetOf,
  webOrigin,
} from './parsers';

/** The four processes Tyrum ships. */
export type AppName = 'edge' | 'worker' | 'scheduler' | 'desktop-runtime';

/** The loops an edge process can host besides serving clients. */
export type Role = 'edge' | 'worker' | 'scheduler';

/** One variable of the environment: all that the loader and `--help` know about it. */
export interface Variable<T> {
  readonly name: string;
  readonly description: string;
  /** What a good value is, completing the sentence "NAME must be …". Never quotes a value. */
  readonly expected: string;
  /** The apps that read it. Elsewhere it is neither checked nor kept, so that one env file can serve all apps. */
  readonly apps: readonly AppName[];
  readonly parse: Parse<T>;
  /** The value when unset. Absent: unset stays unset, or the loader derives it as `derivedDefault` says. */
  readonly fallback?: (app: AppName) => T;
  /** The default in words where it depends on other variables. */
  readonly derivedDefault?: string;
}

const ALL: readonly AppName[] = ['edge', 'worker', 'scheduler', 'desktop-runtime'];
const RUNS_TURNS: readonly AppName[] = ['edge', 'worker'];
/** Whoever may run the scheduler's loops. */
const SWEEPS: readonly AppName[] = ['edge', 'scheduler'];
const DEFAULT_PORTS: Readonly<Record<AppName, number>> = {
  edge: 8788,
  worker: 8789,
  scheduler: 8790,
  'desktop-runtime': 8791,
};
const BOOTSTRAP_TOKEN = /^tyrum-token\.v1\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[A-Za-z0-9_-]{22,256}$/i;

function variable<T>(definition: Variable<T>): Variable<T> {
  return definition;
}

/** Every variable Tyrum reads. A variable that is not here does not exist: the loader reports it as unknown. */
export const VARIABLES = {
  home: variable({
    name: 'TYRUM_HOME',
    description: 'Directory for everything this installation keeps; relative paths start at the working directory.',
    expected: 'a path (~ is not expanded)',
    apps: ALL,
    parse: path,
    fallback: () => '.tyrum',
  }),
  database: variable({
    name: 'TYRUM_DATABASE_URL',
    description: 'Where the durable state lives: SQLite for one host, Postgres for a cluster.',
    expected: 'sqlite:<path>, postgres://… or postgresql://… (with ?pgbouncer=true if it is a pooler)',
    apps: ALL,
    parse: database,
    derivedDefault: 'sqlite:<TYRUM_HOME>/tyrum.db',
  }),
  redisUrl: variable({
    name: 'TYRUM_REDIS_URL',
    description: 'Redis for wake-ups. Losing it costs latency, never data.',
    expected: 'redis://… or rediss://… with a host',
    apps: ALL,
    parse: redisUrl,
  }),
  backplane: variable({
    name: 'TYRUM_BACKPLANE',
    description: 'How processes tell each other to look at the database now.',
    expected: 'local, postgres (needs a Postgres database) or redis (needs TYRUM_REDIS_URL)',
    apps: ALL,
    parse: oneOf(['local', 'postgres', 'redis']),
    derivedDefault: 'redis if TYRUM_REDIS_URL is set, else postgres on Postgres without a pooler, else local (polling)',
  }),
  roles: variable({
    name: 'TYRUM_ROLES',
    description: 'The loops this edge process hosts.',
    expected: 'a comma-separated subset of edge,worker,scheduler that contains edge',
    apps: ['edge'],
    parse: subsetOf<Role>(['edge', 'worker', 'scheduler'], 'edge'),
    derivedDefault: 'edge,worker,scheduler on SQLite, edge on Postgres',
  }),
  host: variable({
    name: 'TYRUM_HOST',
    description: 'Address to listen on.',
    expected: 'an IP address or a host name',
    apps: ALL,
    parse: host,
    fallback: () => '127.0.0.1',
  }),
  port: variable({
    name: 'TYRUM_PORT',
    description: 'Port to listen on; 0 takes any free one and logs it.',
    expected: 'an integer from 0 to 65535',
    apps: ALL,
    parse: integer(0, 65_535),
    fallback: (app) => DEFAULT_PORTS[app],
  }),
  bootstrapToken: variable({
    name: 'TYRUM_BOOTSTRAP_TOKEN',
    description: 'An admin token to install at the first boot.',
    expected: 'tyrum-token.v1.<uuid>.<secret> with a base64url secret of 22 to 256 characters',
    apps: ['edge'],
    parse: secretMatching(BOOTSTRAP_TOKEN),
  }),
  leaseTtlMs: variable({
    name: 'TYRUM_LEASE_TTL_MS',
    description: 'How long a lease outlives its last renewal, in ms. Takeover takes up to 1.5 times as long.',
    expected: 'an integer from 500 to 600000',
    apps: ALL,
    parse: integer(500, 600_000),
    fallback: () => 10_000,
  }),
  instanceId: variable({
    name: 'TYRUM_INSTANCE_ID',
    description: 'Name of this process in leases and logs. Two running processes must not share one.',
    expected: '1 to 128 characters of A-Z a-z 0-9 . _ -',
    apps: ALL,
    parse: matching(/^[A-Za-z0-9._-]{1,128}$/),
    derivedDefault: '<host name>-<pid>-<random>',
  }),
  workspaceRoot: variable({
    name: 'TYRUM_WORKSPACE_ROOT',
    description: 'Directory that holds the agents’ workspaces.',
    expected: 'a path (~ is not expanded)',
    apps: RUNS_TURNS,
    parse: path,
    derivedDefault: '<TYRUM_HOME>/workspaces',
  }),
  logLevel: variable({
    name: 'TYRUM_LOG_LEVEL',
    description: 'Least severe level that is logged.',
    expected: 'trace, debug, info, warn, error, fatal or silent',
    apps: ALL,
    parse: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    fallback: () => 'info' as const,
  }),
  policy: variable({
    name: 'TYRUM_POLICY',
    description:
      'Which side effects need an approval: open asks for none, standard before the tools of TYRUM_APPROVAL_TOOLS.',
    expected: 'open or standard',
    apps: RUNS_TURNS,
    parse: oneOf(['open', 'standard']),
    fallback: () => 'standard' as const,
  }),
  approvalTools: variable({
    name: 'TYRUM_APPROVAL_TOOLS',
    description: 'Tools that wait for an approval each time: an action type, or with what it does (Http.POST).',
    expected: 'names such as CLI, Http, Filesystem.write or Node.tyrum.fs.write, separated by commas',
    apps: RUNS_TURNS,
    parse: listOf(matching(/^[A-Za-z][A-Za-z0-9_.-]{0,254}$/)),
    fallback: (): readonly string[] => [],
  }),
  modelBaseUrl: variable({
    name: 'TYRUM_MODEL_BASE_URL',
    description: 'Base URL of an OpenAI-compatible model server.',
    expected: 'an http:// or https:// URL without credentials or query (the key goes into TYRUM_MODEL_API_KEY)',
    apps: RUNS_TURNS,
    parse: plainHttpUrl,
  }),
  model: variable({
    name: 'TYRUM_MODEL',
    description: 'Name of the model to ask there.',
    expected: '1 to 256 characters without spaces',
    apps: RUNS_TURNS,
    parse: matching(/^\S{1,256}$/),
  }),
  modelApiKey: variable({
    name: 'TYRUM_MODEL_API_KEY',
    description: 'Key for the model server, where it wants one.',
    expected: '1 to 4096 printable ASCII characters without spaces',
    apps: RUNS_TURNS,
    parse: secretMatching(/^[\x21-\x7e]{1,4096}$/),
  }),
  modelPrice: variable({
    name: 'TYRUM_MODEL_PRICE',
    description: 'What the model costs, for budgets of money; without it they are refused.',
    expected: 'two prices in dollars per million tokens, of prompt and completion: 2.50,10',
    apps: RUNS_TURNS,
    parse: modelPrice,
  }),
  drainMs: variable({
    name: 'TYRUM_DRAIN_MS',
    description: 'Time for an orderly stop after SIGTERM, in ms; keep it below the orchestrator’s grace period.',
    expected: 'an integer from 100 to 600000',
    apps: ALL,
    parse: integer(100, 600_000),
    fallback: () => 25_000,
  }),
  drainNoticeMs: variable({
    name: 'TYRUM_DRAIN_NOTICE_MS',
    description:
      'How long a stopping edge is not ready and takes new connections all the same, in ms: what balancers need to notice.',
    expected: 'an integer from 0 to 90000',
    apps: ['edge'],
    parse: integer(0, 90_000),
    derivedDefault: 'a tenth of TYRUM_DRAIN_MS on Postgres, 0 on SQLite, where nothing balances',
  }),
  workerConcurrency: variable({
    name: 'TYRUM_WORKER_CONCURRENCY',
    description: 'Conversations a worker runs at once.',
    expected: 'an integer from 1 to 1000',
    apps: RUNS_TURNS,
    parse: integer(1, 1000),
    fallback: () => 50,
  }),
  retentionTurnDays: variable({
    name: 'TYRUM_RETENTION_TURN_DAYS',
    description: 'How long turns are kept after their end, with their steps, messages and artifacts, in days.',
    expected: 'an integer from 1 to 36500',
    apps: SWEEPS,
    parse: integer(1, 36_500),
    fallback: () => 90,
  }),
  retentionEventDays: variable({
    name: 'TYRUM_RETENTION_EVENT_DAYS',
    description: 'How long events are kept, in days: a client that was away for longer is told of a gap.',
    expected: 'an integer from 1 to 36500',
    apps: SWEEPS,
    parse: integer(1, 36_500),
    fallback: () => 7,
  }),
  retentionHistoryDays: variable({
    name: 'TYRUM_RETENTION_HISTORY_DAYS',
    description: 'How long firings, lease history, dead tokens, gone hosts and unclaimed arrivals are kept, in days.',
    expected: 'an integer from 1 to 36500',
    apps: SWEEPS,
    parse: integer(1, 36_500),
    fallback: () => 30,
  }),
  allowedOrigins: variable({
    name: 'TYRUM_ALLOWED_ORIGINS',
    description: 'Origins whose pages may use the session cookie, on the WebSocket and over HTTP.',
    expected: 'origins such as https://console.example, separated by commas',
    apps: ['edge'],
    parse: listOf(webOrigin),
    fallback: (): readonly string[] => [],
  }),
  trustedProxies: variable({
    name: 'TYRUM_TRUSTED_PROXIES',
    description: 'Proxies whose X-Forwarded-For tells who the client is; from anybody else it is ignored.',
    expected: 'networks such as 10.0.0.0/8 or fd00::/8 and single addresses, separated by commas; none of them /0',
    apps: ['edge'],
    parse: listOf(network),
    fallback: (): readonly string[] => [],
  }),
  ratePerAddress: variable({
    name: 'TYRUM_RATE_PER_ADDRESS',
    description:
      'Requests one address may make in 10 seconds. Clients behind a proxy that is not trusted share its address.',
    expected: 'an integer from 1 to 1000000000',
    apps: ['edge'],
    parse: integer(1, 1_000_000_000),
    fallback: () => 50_000,
  }),
  ratePerToken: variable({
    name: 'TYRUM_RATE_PER_TOKEN',
    description: 'Requests one token may make in 10 seconds.',
    expected: 'an integer from 1 to 1000000000',
    apps: ['edge'],
    parse: integer(1, 1_000_000_000),
    fallback: () => 50_000,
  }),
  ratePerTenant: variable({
    name: 'TYRUM_RATE_PER_TENANT',
    description: 'Requests one tenant may make in 10 seconds, unless it has a quota of its own.',
    expected: 'an integer from 1 to 1000000000',
    apps: ['edge'],
    parse: integer(1, 1_000_000_000),
    fallback: () => 200_000,
  }),
  connectionsPerAddress: variable({
    name: 'TYRUM_CONNECTIONS_PER_ADDRESS',
    description: 'WebSockets one address may hold open at one edge.',
    expected: 'an integer from 1 to 1000000',
    apps: ['edge'],
    parse: integer(1, 1_000_000),
    fallback: () => 5_000,
  }),
  artifactMaxBytes: variable({
    name: 'TYRUM_ARTIFACT_MAX_BYTES',
    description: 'The largest artifact that may be uploaded, in bytes.',
    expected: 'an integer from 1 to 1073741824',
    apps: ['edge'],
    parse: integer(1, 1_073_741_824),
    fallback: () => 1_073_741_824,
  }),
  oidcIssuer: variable({
    name: 'TYRUM_OIDC_ISSUER',
    description: 'OpenID provider whose users may log in. Needs the client, the redirect and the groups as well.',
    expected: 'the issuer as it calls itself: an https URL without query; http only on this host',
    apps: ['edge'],
    parse: safeUrl,
  }),
  oidcClientId: variable({
    name: 'TYRUM_OIDC_CLIENT_ID',
    description: 'What the provider calls this installation.',
    expected: '1 to 256 printable ASCII characters',
    apps: ['edge'],
    parse: matching(/^[\x20-\x7e]{1,256}$/),
  }),
  oidcClientSecret: variable({
    name: 'TYRUM_OIDC_CLIENT_SECRET',
    description: 'The secret it shares with the provider, the same at every edge.',
    expected: '16 to 4096 printable ASCII characters without spaces',
    apps: ['edge'],
    parse: secretMatching(/^[\x21-\x7e]{16,4096}$/),
  }),
  oidcClientSecretFile: variable({
    name: 'TYRUM_OIDC_CLIENT_SECRET_FILE',
    description: 'The file that holds that secret, instead.',
    expected: 'a path (~ is not expanded)',
    apps: ['edge'],
    parse: path,
  }),
  oidcRedirectUri: variable({
    name: 'TYRUM_OIDC_REDIRECT_URI',
    description:
      'Where the provider sends the browser back to: /oidc/callback at the address browsers reach the edge at.',
    expected: 'an https URL that ends in /oidc/callback, without query; http only on this host',
    apps: ['edge'],
    parse: (text) => (text.endsWith('/oidc/callback') ? safeUrl(text) : undefined),
  }),
  oidcGroups: variable({
    name: 'TYRUM_OIDC_GROUPS',
    description: 'What the groups of a user are here. The first rule that fits decides; who fits none is refused.',
    expected: 'a JSON list such as [{"group":"ops","tenant":"default","role":"client","scopes":["operator.read"]}]',
    apps: ['edge'],
    parse: jsonList,
  }),
  oidcGroupsClaim: variable({
    name: 'TYRUM_OIDC_GROUPS_CLAIM',
    description: 'The claim that lists the groups of a user.',
    expected: '1 to 256 characters without spaces',
    apps: ['edge'],
    parse: matching(/^\S{1,256}$/),
    fallback: () => 'groups',
  }),
  oidcScopes: variable({
    name: 'TYRUM_OIDC_SCOPES',
    description: 'The scopes the provider is asked for.',
    expected: 'words separated by spaces, openid among them',
    apps: ['edge'],
    parse: matching(/^(?=(.* )?openid( |$))[\x21-\x7e]+( [\x21-\x7e]+){0,31}$/),
    fallback: () => 'openid',
  }),
  oidcSessionMinutes: variable({
    name: 'TYRUM_OIDC_SESSION_MINUTES',
    description: 'How long such a session lasts, in minutes: after that the provider is asked again, groups included.',
    expected: 'an integer from 5 to 1440',
    apps: ['edge'],
    parse: integer(5, 1_440),
    fallback: () => 480,
  }),
  webhookKey: variable({
    name: 'TYRUM_WEBHOOK_KEY',
    description: 'Key that the secrets of webhooks follow from, the same at every edge. Unset: there are no webhooks.',
    expected: '32 to 256 characters of base64url',
    apps: ['edge'],
    parse: secretMatching(/^[A-Za-z0-9_-]{32,256}$/),
  }),
  httpAllow: variable({
    name: 'TYRUM_HTTP_ALLOW',
    description: 'Hosts in private networks that Http steps may reach; all others there are refused.',
    expected: 'host names and IP addresses, separated by commas',
    apps: RUNS_TURNS,
    parse: listOf(host),
    fallback: (): readonly string[] => [],
  }),
};

/** Names of all variables Tyrum reads, in the order of `--help`. */
export const KNOWN_VARIABLES: readonly string[] = Object.values(VARIABLES).map(({ name }) => name);
