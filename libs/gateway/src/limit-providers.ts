import { randomUUID } from 'node:crypto';
import type { FactoryProvider } from '@nestjs/common';
import { openRedisCounters, openRedisPlaces, type Backplane } from '@tyrum/backplane';
import { BACKPLANE, STATE_STORE } from '@tyrum/execution/nest';
import { CONFIG, DrainSequence, LOGGER, Metrics, type Config, type Logger, type WireLimits } from '@tyrum/platform';
import type { StateStore } from '@tyrum/statestore';
import type { GatewayOptions } from './gateway.module';
import { GatewayMetrics } from './gateway-metrics';
import { GATEWAY_OPTIONS, WIRE_LIMITS } from './gateway-options';
import { Admission } from './limits/admission';
import { ConnectionCaps } from './limits/connection-caps';
import { ClientAddresses } from './limits/client-addresses';
import { RefusalAudit } from './limits/refusal-audit';
import { SessionAudit } from './limits/session-audit';
import { RequestWindows } from './limits/request-windows';
import { SharedLimits } from './limits/shared-limits';

const nowMs = (): number => Date.now();
/** Keeps the counters apart from what else is on the same Redis. */
const NAMESPACE = 'tyrum';

/** What keeps peers within their limits, and writes down who was refused and who came in. */
export const limitProviders: FactoryProvider[] = [
  {
    provide: WIRE_LIMITS,
    inject: [CONFIG, GATEWAY_OPTIONS],
    useFactory: ({ wire }: Config, options: GatewayOptions): WireLimits => {
      const decided = (name: keyof WireLimits): number => options[name] ?? wire[name];
      const names = Object.keys(wire) as (keyof WireLimits)[];
      return Object.fromEntries(names.map((name) => [name, decided(name)])) as unknown as WireLimits;
    },
  },
  {
    provide: ClientAddresses,
    inject: [CONFIG],
    useFactory: ({ trustedProxies }: Config) => new ClientAddresses(trustedProxies),
  },
  {
    provide: ConnectionCaps,
    inject: [CONFIG, Metrics, LOGGER],
    useFactory: async ({ backplane, instanceId }: Config, metrics: Metrics, logger: Logger) => {
      if (backplane.kind !== 'redis') return new ConnectionCaps(logger);
      const places = await openRedisPlaces(backplane.url.reveal(), NAMESPACE, instanceId);
      const caps = new ConnectionCaps(logger, places);
      metrics.gauge(
        'tyrum_gateway_caps_shared',
        '1 while connections at other edges count; 0: this edge counts alone.',
        {
          collect: (gauge) => gauge.set(caps.counting === 'together' ? 1 : 0),
        },
      );
      return caps;
    },
  },
  {
    provide: Admission,
    inject: [CONFIG, GATEWAY_OPTIONS, GatewayMetrics, RefusalAudit, ConnectionCaps, DrainSequence, LOGGER],
    useFactory: async (
      config: Config,
      options: GatewayOptions,
      ...[metrics, audit, caps, drain, logger]: [GatewayMetrics, RefusalAudit, ConnectionCaps, DrainSequence, Logger]
    ) => {
      const windows = new RequestWindows(nowMs);
      if (config.backplane.kind === 'redis') {
        const counters = await openRedisCounters(config.backplane.url.reveal(), NAMESPACE);
        const shared = new SharedLimits(windows, caps, counters, logger);
        drain.register('closePools', 'shared limits', () => shared.stop());
        shared.start();
      }
      const limits = { ...config.limits, ...options.limits };
      return new Admission(windows, limits, (by, refusal) => {
        metrics.rateLimited(by);
        audit.note(refusal);
      });
    },
  },
  {
    provide: RefusalAudit,
    inject: [STATE_STORE, BACKPLANE, GatewayMetrics, DrainSequence, LOGGER],
    useFactory: (
      store: StateStore,
      backplane: Backplane,
      ...[metrics, drain, logger]: [GatewayMetrics, DrainSequence, Logger]
    ) => {
      const audit = new RefusalAudit(
        { store, logger, wake: () => backplane.publish('outbox') },
        { newId: randomUUID, nowMs },
        (refusal) => metrics.refused(refusal),
      );
      drain.register('finishWork', 'refusals', () => audit.flush());
      return audit;
    },
  },
  {
    provide: SessionAudit,
    inject: [STATE_STORE, LOGGER],
    useFactory: (store: StateStore, logger: Logger) => new SessionAudit({ store, logger }, nowMs),
  },
];
