import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Backplane } from '@tyrum/backplane';
import { BACKPLANE, STATE_STORE } from '@tyrum/execution/nest';
import { TokenStore } from '@tyrum/identity';
import { DrainSequence, loadConfig, PlatformModule } from '@tyrum/platform';
import { memoryLogger, type LoggedLine } from '@tyrum/platform/testing';
import { DEFAULT_TENANT_ID, type OperatorScope, type TokenRole } from '@tyrum/protocol';
import type { StateStore } from '@tyrum/statestore';
import { Tenants } from '@tyrum/statestore/records';
import { createPostgresDatabase, createSqlitePath } from '@tyrum/test-services';
import { GatewayModule, type GatewayOptions } from '../gateway.module';
import { ContractWatch, watchPort } from './contract-watch';

export interface TestEdgeOptions extends GatewayOptions {
  /** Default: `sqlite`, or the database that `TestEdge.databaseUrl` of another edge names. */
  readonly database?: 'sqlite' | 'postgres' | { readonly url: string };
  readonly drainMs?: number;
  /** The same for two starts = the same edge, restarted. */
  readonly instanceId?: string;
  /** Where artifacts lie; two edges of one deployment share it. Default: a folder of its own. */
  readonly home?: string;
  /** More of the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface TokenWish {
  readonly tenantId?: string;
  readonly role?: TokenRole;
  readonly scopes?: readonly OperatorScope[];
  readonly deviceId?: string;
  readonly expiresAt?: number;
}

/** A gateway that listens, on a database of its own. */
export interface TestEdge {
  readonly httpUrl: string;
  readonly socketUrl: string;
  readonly databaseUrl: string;
  readonly home: string;
  readonly store: StateStore;
  readonly tokens: TokenStore;
  readonly backplane: Backplane;
  readonly drain: DrainSequence;
  readonly logs: readonly LoggedLine[];
  /** Everything this edge says is held to the published contracts; `stop` throws when something was not as they say. */
  readonly contract: ContractWatch;
  /** A token's text; an admin of the default tenant unless wished otherwise. */
  issue(wish?: TokenWish): Promise<string>;
  newTenant(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts one; call `stop` after the test. */
export async function startTestEdge({
  database = 'sqlite',
  drainMs = 5_000,
  instanceId,
  env = {},
  home,
  ...options
}: TestEdgeOptions = {}): Promise<TestEdge> {
  const place = await placeOf(database, home);
  const config = loadConfig('edge', {
    TYRUM_HOME: place.home,
    TYRUM_DATABASE_URL: place.url,
    TYRUM_DRAIN_MS: String(drainMs),
    TYRUM_DRAIN_NOTICE_MS: '0',
    TYRUM_ROLES: 'edge',
    // Not in a home, which these edges have only where their database lies in one.
    TYRUM_AUDIT_KEY: Buffer.alloc(32, 7).toString('base64url'),
    ...env,
    ...(instanceId === undefined ? {} : { TYRUM_INSTANCE_ID: instanceId }),
  });
  const { logger, lines } = memoryLogger();
  class Root {}
  const app = await NestFactory.create<NestExpressApplication>(
    { module: Root, imports: [PlatformModule.forRoot(config, logger), GatewayModule.forRoot(options)] },
    { logger: false, abortOnError: false, bodyParser: false },
  );
  const contract = new ContractWatch();
  contract.watch(app.getHttpServer() as Server);
  // As `runApp` does it, after the providers are made.
  app.useBodyParser('json', { limit: 1024 * 1024 });
  await app.listen(0, '127.0.0.1');
  const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
  const unwatch = watchPort(port, contract);
  const store = app.get<StateStore>(STATE_STORE, { strict: false });
  const tokens = app.get(TokenStore, { strict: false });
  return {
    httpUrl: `http://127.0.0.1:${port}`,
    socketUrl: `ws://127.0.0.1:${port}/ws`,
    databaseUrl: place.url,
    home: place.home,
    store,
    tokens,
    backplane: app.get<Backplane>(BACKPLANE, { strict: false }),
    drain: app.get(DrainSequence, { strict: false }),
    logs: lines,
    contract,
    issue: async ({ tenantId = DEFAULT_TENANT_ID, role = 'admin', scopes = [], ...rest } = {}) =>
      (await tokens.issue({ tenantId, role, scopes, ...rest })).token,
    newTenant: async () => {
      const tenant_id = randomUUID();
      const row = { tenant_id, slug: tenant_id, created_at: Date.now() };
      await store.transaction((tx) => tx.records(Tenants).insert(row));
      return tenant_id;
    },
    stop: async () => {
      await app.close();
      await place.remove();
      unwatch();
      const [breach] = contract.breaches;
      if (breach) throw new Error(`not as published: ${breach.what}: ${breach.errors}\n${breach.text}`);
    },
  };
}

interface Place {
  readonly url: string;
  readonly home: string;
  remove(): Promise<void> | void;
}

async function placeOf(database: NonNullable<TestEdgeOptions['database']>, shared: string | undefined): Promise<Place> {
  const home = shared ?? mkdtempSync(join(tmpdir(), 'tyrum-edge-'));
  const clear = (): void => (shared === undefined ? rmSync(home, { recursive: true, force: true }) : undefined);
  if (typeof database === 'object') return { url: database.url, home, remove: clear };
  if (database === 'postgres') {
    const { url, drop } = await createPostgresDatabase();
    const remove = async (): Promise<void> => {
      await drop();
      clear();
    };
    return { url, home, remove };
  }
  const { path, remove } = createSqlitePath();
  const removeBoth = (): void => {
    remove();
    clear();
  };
  return { url: `sqlite:${path}`, home, remove: removeBoth };
}
