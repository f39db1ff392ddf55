import { randomUUID } from 'node:crypto';
import type { FactoryProvider } from '@nestjs/common';
import { openRedisCounters, type Backplane } from '@tyrum/backplane';
import { BACKPLANE, STATE_STORE } from '@tyrum/execution/nest';
import { CONFIG, DrainSequence, LOGGER, type Config, type Logger } from '@tyrum/platform';
import type { StateStore } from '@tyrum/statestore';
import type { GatewayOptions } from './gateway.module';
import { GatewayMetrics } from './gateway-metrics';
import { GATEWAY_OPTIONS } from './gateway-options';
import { Admission } from './limits/admission';
import { ClientAddresses } from './limits/client-addresses';
import { RefusalAudit } from './limits/refusal-audit';
import { RequestWindows } from './limits/request-windows';
import { SharedWindows } from './limits/shared-windows';

const nowMs = (): number => Date.now();
/** Keeps the counters apart from what else is on the same Redis. */
const NAMESPACE = 'tyrum';

/** What keeps peers within their limits, and writes down who was refused. */
export const limitProviders: FactoryProvider[] = [
  {
    provide: ClientAddresses,
    inject: [CONFIG],
    useFactory: ({ trustedProxies }: Config) => new ClientAddresses(trustedProxies),
  },
  {
    provide: Admission,
    inject: [CONFIG, GATEWAY_OPTIONS, GatewayMetrics, DrainSequence, LOGGER],
    useFactory: async (
      config: Config,
      options: GatewayOptions,
      ...[metrics, drain, logger]: [GatewayMetrics, DrainSequence, Logger]
    ) => {
      const windows = new RequestWindows(nowMs);
      if (config.backplane.kind === 'redis') {
        const counters = await openRedisCounters(config.backplane.url.reveal(), NAMESPACE);
        const shared = new SharedWindows(windows, counters, logger);
        drain.register('closePools', 'request counts', () => shared.stop());
        shared.start();
      }
      const limits = { ...config.limits, ...options.limits };
      return new Admission(windows, limits, (by) => metrics.rateLimited(by));
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
];
