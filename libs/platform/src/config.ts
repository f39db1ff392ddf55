import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { DatabaseConfig, ModelPrice, Parse } from './parsers';
import { chooseOidc, type OidcConfig } from './oidc-config';
import type { Secret } from './secret';
import type { AppName, Role, Variable } from './variable';
import { KNOWN_VARIABLES, VARIABLES } from './variables';
import { tooMuchInFlight } from './wire-variables';

export type { OidcConfig } from './oidc-config';
export type { AppName } from './variable';

/** How wake-ups travel between processes. */
export type BackplaneConfig =
  { readonly kind: 'local' } | { readonly kind: 'postgres' } | { readonly kind: 'redis'; readonly url: Secret };

/** An OpenAI-compatible model server. */
export interface ModelConfig {
  readonly baseUrl: string;
  readonly name: string;
  readonly apiKey?: Secret;
  readonly price?: ModelPrice;
}

/** A bucket of S3, or of what speaks like it. */
export interface S3Config {
  readonly bucket: string;
  readonly region: string;
  readonly endpoint?: string;
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: Secret };
}

/** How long what nobody needs to run is kept, in ms. */
export interface RetentionConfig {
  readonly turnsMs: number;
  readonly eventsMs: number;
  readonly historyMs: number;
  readonly auditMs: number;
}

/** What one peer of an edge may send and have waiting there. */
export interface WireLimits {
  readonly frameMaxBytes: number;
  readonly bodyMaxBytes: number;
  readonly jsonMaxDepth: number;
  readonly messagesBeforeHandshake: number;
  readonly requestsInFlight: number;
  readonly sendBufferBytes: number;
  readonly pingIntervalMs: number;
  /** In a row, before a WebSocket is cut. */
  readonly missedPings: number;
  readonly connectionsPerDevice: number;
  readonly handshakeMs: number;
}

/**
 * What the environment decided, checked and deeply frozen. All paths are absolute. Safe to log: secrets print as
 * `[redacted]`. A field whose variable this app does not read (see `renderHelp`) holds its default.
 */
export interface Config {
  readonly app: AppName;
  /** Unique among running processes; 1 to 128 of `A-Za-z0-9._-`. */
  readonly instanceId: string;
  readonly home: string;
  readonly database: DatabaseConfig;
  readonly backplane: BackplaneConfig;
  /** The loops this process hosts. Only an edge has a choice; `desktop-runtime` has none of them. */
  readonly roles: readonly Role[];
  readonly host: string;
  /** 0 means any free port; the bound one is in the `listening` log line. */
  readonly port: number;
  readonly bootstrapToken?: Secret;
  readonly leaseTtlMs: number;
  readonly workspaceRoot: string;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  readonly policy: 'open' | 'standard';
  /** Tools that wait for an approval, unless the policy is `open`. */
  readonly approvalTools: readonly string[];
  /** Absent when no model is configured; then `Llm` and `Decide` steps cannot run. */
  readonly model?: ModelConfig;
  readonly drainMs: number;
  /** How long new connections are taken after the process has turned not ready. */
  readonly drainNoticeMs: number;
  /** Conversations run at once by the worker loop of this process. */
  readonly workerConcurrency: number;
  /** Hosts in private networks that `Http` steps may reach. */
  readonly httpAllow: readonly string[];
  readonly retention: RetentionConfig;
  /** What peers of an edge may ask for; requests are counted in windows of 10 s. */
  readonly limits: {
    readonly perAddress: number;
    readonly perToken: number;
    readonly perTenant: number;
    readonly connectionsPerAddress: number;
  };
  readonly wire: WireLimits;
  /** A bucket for artifacts' bytes; absent: they lie below `home`. */
  readonly s3?: S3Config;
  /** The largest artifact an edge takes. */
  readonly artifactMaxBytes: number;
  /** What the artifacts of a tenant may take that has no quota of its own; absent: anything. */
  readonly maxStoredBytes?: number;
  /** What the secrets of webhooks follow from; absent: there are none. */
  readonly webhookKey?: Secret;
  /** Networks of the proxies whose word about their clients counts, as `address/prefix`. */
  readonly trustedProxies: readonly string[];
  /** Where people log in who have no token; absent: nowhere. */
  readonly oidc?: OidcConfig;
  /** Seed of the key that signs the audit; absent: it lies in the home. */
  readonly auditKey?: Secret;
  /** Keys of secrets, base64url, separated by commas; absent: on SQLite it lies in the home, on Postgres there are no secrets. */
  readonly secretKeys?: Secret;
  /** What this process, as a host, does for desktops. */
  readonly desktops: {
    /** Where edges are: `ws://host/ws`. */
    readonly edges: readonly string[];
    readonly capacity: number;
    readonly sandbox: 'bubblewrap' | 'none';
  };
  /** Exact origins whose pages may call the edge, and use the session cookie. */
  readonly allowedOrigins: readonly string[];
  /** `TYRUM_*` variables nobody reads, most likely misspelt. Names only. */
  readonly unknownVariables: readonly string[];
}

/** One thing wrong with the configuration. Neither field ever holds a value from the environment. */
export interface ConfigProblem {
  readonly variable: string;
  /** Completes "<variable> …", e.g. `must be an integer from 0 to 65535`. */
  readonly problem: string;
}

/** The environment cannot be run with. Lists everything wrong at once, so that one restart is enough. Terminal. */
export class ConfigError extends Error {
  readonly code = 'config_invalid';

  constructor(readonly problems: readonly ConfigProblem[]) {
    super(['the configuration is invalid:', ...problems.map((p) => `  ${p.variable} ${p.problem}`)].join('\n'));
    this.name = 'ConfigError';
  }
}

/** What `loadConfig` takes from the process besides the environment; each has the process's own value as default. */
export interface LoadOptions {
  /** Arguments after the script's name. Tyrum takes none, and an ignored `--port 80` would mislead: all are refused. */
  readonly argv?: readonly string[];
  /** Where relative paths start. */
  readonly cwd?: string;
  readonly defaultInstanceId?: () => string;
}

/** Shares of the drain. */
const DEFAULT_NOTICE = 0.1;
const LONGEST_NOTICE = 0.15;
const DAY_MS = 24 * 60 * 60 * 1_000;

type Environment = Readonly<Record<string, string | undefined>>;
export type Values = {
  -readonly [K in keyof typeof VARIABLES]: (typeof VARIABLES)[K] extends Variable<infer T> ? T | undefined : never;
};

const FIXED_ROLES: Readonly<Record<Exclude<AppName, 'edge'>, readonly Role[]>> = {
  worker: ['worker'],
  scheduler: ['scheduler'],
  'desktop-runtime': [],
};

/**
 * Reads the environment of one app into a frozen `Config`. Surrounding white space is dropped and an empty variable
 * counts as unset, as compose files and charts write it. Touches no file and no network.
 * @throws ConfigError with every problem found
 */
export function loadConfig(app: AppName, env: Environment, options: LoadOptions = {}): Config {
  const problems = (options.argv ?? []).map(argumentProblem);
  const values = readValues(app, env, problems);
  const bad = new Set(problems.map(({ variable }) => variable));
  const database = values.database;
  const backplane = chooseBackplane(values, bad, problems);
  const model = chooseModel(values, bad, problems);
  const s3 = chooseS3(values, bad, problems);
  const drainNoticeMs = chooseDrainNotice(app, values, problems);
  const oidc = chooseOidc(values, bad, problems);
  checkInFlight(values, problems);
  if (problems.length > 0) throw new ConfigError(problems);

  const home = resolve(options.cwd ?? process.cwd(), values.home ?? '');
  const inHome = (path: string | undefined, fallback: string) =>
    path === undefined ? join(home, fallback) : resolve(options.cwd ?? process.cwd(), path);
  const config: Config = {
    app,
    instanceId: values.instanceId ?? (options.defaultInstanceId ?? defaultInstanceId)(),
    home,
    database: database?.kind === 'postgres' ? database : { kind: 'sqlite', path: inHome(database?.path, 'tyrum.db') },
    backplane,
    roles: chooseRoles(app, values),
    host: required(values.host),
    port: required(values.port),
    ...(values.bootstrapToken && { bootstrapToken: values.bootstrapToken }),
    leaseTtlMs: required(values.leaseTtlMs),
    workspaceRoot: inHome(values.workspaceRoot, 'workspaces'),
    logLevel: required(values.logLevel),
    policy: required(values.policy),
    approvalTools: required(values.approvalTools),
    ...(s3 && { s3 }),
    artifactMaxBytes: required(values.artifactMaxBytes),
    ...(values.maxStoredBytes !== undefined && { maxStoredBytes: values.maxStoredBytes }),
    ...(oidc && { oidc }),
    ...(values.webhookKey && { webhookKey: values.webhookKey }),
    ...(values.auditKey && { auditKey: values.auditKey }),
    ...(values.secretKeys && { secretKeys: values.secretKeys }),
    desktops: {
      edges: required(values.edgeUrls),
      capacity: required(values.desktops),
      sandbox: required(values.desktopSandbox),
    },
    ...(model && { model }),
    drainMs: required(values.drainMs),
    drainNoticeMs,
    workerConcurrency: required(values.workerConcurrency),
    httpAllow: required(values.httpAllow),
    retention: {
      turnsMs: required(values.retentionTurnDays) * DAY_MS,
      eventsMs: required(values.retentionEventDays) * DAY_MS,
      historyMs: required(values.retentionHistoryDays) * DAY_MS,
      auditMs: required(values.retentionAuditDays) * DAY_MS,
    },
    limits: {
      perAddress: required(values.ratePerAddress),
      perToken: required(values.ratePerToken),
      perTenant: required(values.ratePerTenant),
      connectionsPerAddress: required(values.connectionsPerAddress),
    },
    wire: {
      frameMaxBytes: required(values.frameMaxBytes),
      bodyMaxBytes: required(values.bodyMaxBytes),
      jsonMaxDepth: required(values.jsonMaxDepth),
      messagesBeforeHandshake: required(values.messagesBeforeHandshake),
      requestsInFlight: required(values.requestsInFlight),
      sendBufferBytes: required(values.sendBufferBytes),
      pingIntervalMs: required(values.pingIntervalMs),
      missedPings: required(values.missedPings),
      connectionsPerDevice: required(values.connectionsPerDevice),
      handshakeMs: required(values.handshakeMs),
    },
    trustedProxies: required(values.trustedProxies),
    allowedOrigins: required(values.allowedOrigins),
    unknownVariables: unknownVariables(env),
  };
  return deepFreeze(config);
}

/** The text of `--help`: every variable the app reads, what it should be and its default. */
export function renderHelp(app: AppName): string {
  const blocks = Object.values(VARIABLES as Record<string, Variable<unknown>>)
    .filter(({ apps }) => apps.includes(app))
    .map((v) => {
      const defaultText = v.derivedDefault ?? (v.fallback ? String(v.fallback(app)) : 'unset');
      return `  ${v.name}\n      ${v.description}\n      Value: ${v.expected}\n      Default: ${defaultText}`;
    });
  return [`Tyrum ${app}. Takes no arguments but --help; everything is configured by environment variables:`, '']
    .concat(blocks.join('\n\n'), '')
    .join('\n');
}

function readValues(app: AppName, env: Environment, problems: ConfigProblem[]): Values {
  const read = <T>(variable: Variable<T>): T | undefined => {
    const text = variable.apps.includes(app) ? (env[variable.name] ?? '').trim() : '';
    if (text === '') return variable.fallback?.(app);
    const value = (variable.parse as Parse<T>)(text);
    if (value === undefined) problems.push({ variable: variable.name, problem: `must be ${variable.expected}` });
    return value;
  };
  const entries = Object.entries(VARIABLES as Record<string, Variable<unknown>>);
  return Object.fromEntries(entries.map(([key, variable]) => [key, read(variable)])) as Values;
}

/** Rules between variables stay silent about a variable that is already reported: its meaning is not known. */
function chooseBackplane(values: Values, bad: ReadonlySet<string>, problems: ConfigProblem[]): BackplaneConfig {
  const { backplane, database, redisUrl } = values;
  const name = VARIABLES.backplane.name;
  const onPostgres = database?.kind === 'postgres';
  // A session that listens cannot come out of a pool of transactions.
  const pooled = onPostgres && new URL(database.url.reveal()).searchParams.get('pgbouncer') === 'true';
  const kind = backplane ?? (redisUrl ? 'redis' : onPostgres && !pooled ? 'postgres' : 'local');
  if (kind === 'redis') {
    if (redisUrl) return { kind, url: redisUrl };
    if (!bad.has(VARIABLES.redisUrl.name)) {
      problems.push({ variable: VARIABLES.redisUrl.name, problem: `must be set when ${name} is redis` });
    }
    return { kind: 'local' };
  }
  if (kind === 'postgres' && !onPostgres && !bad.has(VARIABLES.database.name)) {
    problems.push({ variable: name, problem: `must be local or redis when ${VARIABLES.database.name} is SQLite` });
  }
  if (kind === 'postgres' && pooled) {
    const problem = `must be local or redis when ${VARIABLES.database.name} says pgbouncer=true: nobody can listen there`;
    problems.push({ variable: name, problem });
  }
  return { kind };
}

function chooseModel(values: Values, bad: ReadonlySet<string>, problems: ConfigProblem[]): ModelConfig | undefined {
  const { modelBaseUrl: baseUrl, model: name, modelApiKey: apiKey, modelPrice: price } = values;
  if (baseUrl !== undefined && name !== undefined) {
    return { baseUrl, name, ...(apiKey && { apiKey }), ...(price && { price }) };
  }
  if ([baseUrl, name, apiKey, price].every((value) => value === undefined)) return undefined;
  const both = `${VARIABLES.modelBaseUrl.name} and ${VARIABLES.model.name} go together`;
  for (const [value, { name: variable }] of [
    [baseUrl, VARIABLES.modelBaseUrl],
    [name, VARIABLES.model],
  ] as const) {
    if (value === undefined && !bad.has(variable)) problems.push({ variable, problem: `must be set: ${both}` });
  }
  return undefined;
}

function chooseS3(values: Values, bad: ReadonlySet<string>, problems: ConfigProblem[]): S3Config | undefined {
  // A region that is none is reported already.
  const { s3Bucket: bucket, s3Region: region = '', s3Endpoint: endpoint } = values;
  const { s3AccessKeyId: accessKeyId, s3SecretAccessKey: secretAccessKey } = values;
  const { s3AccessKeyId: id, s3SecretAccessKey: secret, s3Bucket } = VARIABLES;
  const need = (variable: string, why: string): void => {
    if (!bad.has(variable)) problems.push({ variable, problem: `must be set: ${why}` });
  };
  const together = `${id.name} and ${secret.name} go together`;
  if (accessKeyId !== undefined && !secretAccessKey) need(secret.name, together);
  if (accessKeyId === undefined && secretAccessKey) need(id.name, together);
  if (bucket === undefined) {
    if (endpoint !== undefined || (accessKeyId !== undefined && secretAccessKey)) {
      need(s3Bucket.name, 'the other TYRUM_S3_* are about its bucket');
    }
    return undefined;
  }
  return {
    bucket,
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(accessKeyId !== undefined && secretAccessKey ? { credentials: { accessKeyId, secretAccessKey } } : {}),
  };
}

/** The phase it is spent in ends after a fifth of the drain; a notice up to there would count as left behind. */
function chooseDrainNotice(
  app: AppName,
  { drainNoticeMs, drainMs, database }: Values,
  problems: ConfigProblem[],
): number {
  // A drain that is no number is reported already.
  if (app !== 'edge' || drainMs === undefined) return 0;
  if (drainNoticeMs === undefined) return database?.kind === 'postgres' ? drainMs * DEFAULT_NOTICE : 0;
  if (drainNoticeMs > drainMs * LONGEST_NOTICE) {
    const problem = `must be at most ${LONGEST_NOTICE * 100} % of ${VARIABLES.drainMs.name}`;
    problems.push({ variable: VARIABLES.drainNoticeMs.name, problem });
  }
  return drainNoticeMs;
}

function checkInFlight({ frameMaxBytes, requestsInFlight }: Values, problems: ConfigProblem[]): void {
  // One that is no number is reported already.
  if (frameMaxBytes === undefined || requestsInFlight === undefined) return;
  const problem = tooMuchInFlight(frameMaxBytes, requestsInFlight);
  if (problem) problems.push({ variable: VARIABLES.requestsInFlight.name, problem });
}

function chooseRoles(app: AppName, values: Values): readonly Role[] {
  if (app !== 'edge') return FIXED_ROLES[app];
  return values.roles ?? (values.database?.kind === 'postgres' ? ['edge'] : ['edge', 'worker', 'scheduler']);
}

function unknownVariables(env: Environment): string[] {
  return Object.keys(env)
    .filter((name) => name.startsWith('TYRUM_') && !name.startsWith('TYRUM_TEST_') && !KNOWN_VARIABLES.includes(name))
    .sort();
}

/** Shows an option's name at the most: what follows it, or stands alone, may be a secret typed in the wrong place. */
function argumentProblem(argument: string, index: number): ConfigProblem {
  const option = /^--[a-z][a-z-]{0,30}(?==|$)/.exec(argument)?.[0];
  return { variable: option ?? `argument ${index + 1}`, problem: 'is not accepted: use environment variables' };
}

function defaultInstanceId(): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, 100);
  return `${host}-${process.pid}-${randomBytes(4).toString('hex')}`;
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a variable without a default was read as if it had one');
  return value;
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  return Object.freeze(value);
}
