import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { Inject, Module, type FactoryProvider, type OnApplicationBootstrap } from '@nestjs/common';
import { ControlPlaneModule, STATE_STORE } from '@tyrum/execution/nest';
import { Leases } from '@tyrum/leases';
import { CONFIG, DrainSequence, HealthRegistry, LOGGER, VERSION, type Config, type Logger } from '@tyrum/platform';
import type { StateStore } from '@tyrum/statestore';
import { DesktopHosts } from './desktop-hosts';
import { readHostId } from './host-identity';
import { HostRegistration } from './host-registration';

const CHECK_TIMEOUT_MS = 1_000;

const hosts: FactoryProvider<DesktopHosts> = {
  provide: DesktopHosts,
  inject: [STATE_STORE],
  useFactory: (store: StateStore) => new DesktopHosts(store, new Leases(store)),
};

/** The known hosts, for whoever shows them. */
@Module({ imports: [ControlPlaneModule], providers: [hosts], exports: [DesktopHosts] })
export class DesktopsModule {}

const registration: FactoryProvider<HostRegistration> = {
  provide: HostRegistration,
  inject: [DesktopHosts, STATE_STORE, CONFIG, LOGGER],
  useFactory: (known: DesktopHosts, store: StateStore, config: Config, logger: Logger) => {
    const hostId = readHostId(config.home, randomUUID);
    const host = { hostId, instanceId: config.instanceId, hostname: hostname(), version: VERSION };
    return new HostRegistration(known, new Leases(store), host, {
      leaseTtlMs: config.leaseTtlMs,
      onTrouble: (what, error) => logger.warn({ err: error, host_id: hostId }, `could not ${what}`),
    });
  },
};

/** Makes this process the runtime of its host, from its start to its drain. */
@Module({ imports: [ControlPlaneModule, DesktopsModule], providers: [registration], exports: [HostRegistration] })
export class DesktopHostModule implements OnApplicationBootstrap {
  constructor(
    @Inject(HostRegistration) private readonly runtime: HostRegistration,
    @Inject(DrainSequence) drain: DrainSequence,
    @Inject(HealthRegistry) health: HealthRegistry,
  ) {
    const check = async () => runtime.requireRegistered();
    health.register({ name: 'desktop host', check, timeoutMs: CHECK_TIMEOUT_MS });
    drain.register('finishWork', 'desktop host', () => runtime.stop());
  }

  onApplicationBootstrap(): Promise<void> {
    return this.runtime.start();
  }
}
