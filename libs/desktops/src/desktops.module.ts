import { randomUUID } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { Inject, Module, type FactoryProvider, type OnApplicationBootstrap } from '@nestjs/common';
import type { Backplane } from '@tyrum/backplane';
import { BACKPLANE, ControlPlaneModule, STATE_STORE } from '@tyrum/execution/nest';
import { nodeTokens, TokenStore } from '@tyrum/identity';
import { Leases } from '@tyrum/leases';
import { Pairings } from '@tyrum/nodes';
import { CONFIG, DrainSequence, HealthRegistry, LOGGER, VERSION, type Config, type Logger } from '@tyrum/platform';
import type { StateStore } from '@tyrum/statestore';
import { DesktopHosts } from './desktop-hosts';
import { readHostId } from './host-identity';
import { HostRegistration } from './host-registration';
import { DesktopReconciler } from './runtime/desktop-reconciler';
import { Enrolment } from './runtime/enrolment';
import { bringUp } from './runtime/hosted-desktop';
import { LocalDriver } from './runtime/local-driver';
import { Placements } from './runtime/placements';

const CHECK_TIMEOUT_MS = 1_000;

const registration: FactoryProvider<HostRegistration> = {
  provide: HostRegistration,
  inject: [STATE_STORE, CONFIG, LOGGER],
  useFactory: (store: StateStore, config: Config, logger: Logger) => {
    const hostId = readHostId(config.home, randomUUID);
    const host = { hostId, instanceId: config.instanceId, hostname: hostname(), version: VERSION };
    const leases = new Leases(store);
    return new HostRegistration(new DesktopHosts(store, leases), leases, host, {
      leaseTtlMs: config.leaseTtlMs,
      onTrouble: (what, error) => logger.warn({ err: error, host_id: hostId }, `could not ${what}`),
    });
  },
};

const reconciler: FactoryProvider<DesktopReconciler> = {
  provide: DesktopReconciler,
  inject: [HostRegistration, STATE_STORE, BACKPLANE, CONFIG, LOGGER],
  useFactory: (
    ...[runtime, store, backplane, config, logger]: [HostRegistration, StateStore, Backplane, Config, Logger]
  ) => {
    const { hostId } = runtime.host;
    const { edges, capacity, sandbox } = config.desktops;
    const tokens = new TokenStore(store);
    const pairings = new Pairings({ store, tokens: nodeTokens(tokens), newId: randomUUID, nowMs: Date.now });
    const onTrouble = (what: string, error: unknown): void =>
      logger.warn({ err: error, host_id: hostId }, `could not ${what}`);
    const placements = new Placements(store, new Leases(store), hostId);
    const enrolment = new Enrolment({ store, pairings, tokens, backplane, placements });
    const driver = new LocalDriver({ kind: sandbox, hidden: foldersOf(config) });
    const ports = { driver, enrolment, edges, onTrouble };
    return new DesktopReconciler({
      placements,
      hold: () => runtime.hold,
      bringUp: (row, how) => bringUp(row, how, ports),
      directory: join(config.home, 'desktops'),
      capacity,
      onTrouble,
    });
  },
};

/** Where we keep what no program on a desktop may see, by its real path, as the sandbox compares them. */
function foldersOf({ home, database }: Config): string[] {
  const folders = database.kind === 'sqlite' ? [home, dirname(database.path)] : [home];
  return folders.filter((folder) => existsSync(folder)).map((folder) => realpathSync(folder));
}

/** Makes this process the runtime of its host and of the desktops there, from its start to its drain. */
@Module({
  imports: [ControlPlaneModule],
  providers: [registration, reconciler],
  exports: [HostRegistration],
})
export class DesktopHostModule implements OnApplicationBootstrap {
  constructor(
    @Inject(HostRegistration) private readonly runtime: HostRegistration,
    @Inject(DesktopReconciler) private readonly desktops: DesktopReconciler,
    @Inject(DrainSequence) drain: DrainSequence,
    @Inject(HealthRegistry) health: HealthRegistry,
  ) {
    const check = async () => runtime.requireRegistered();
    health.register({ name: 'desktop host', check, timeoutMs: CHECK_TIMEOUT_MS });
    // What they were is written under the host's lease: it goes last.
    drain.register('finishWork', 'desktop host', async () => {
      await desktops.stop().finally(() => runtime.stop());
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.runtime.start();
    this.desktops.start();
  }
}
