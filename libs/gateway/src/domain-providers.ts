import { randomUUID } from 'node:crypto';
import type { FactoryProvider } from '@nestjs/common';
import type { Backplane } from '@tyrum/backplane';
import { ArtifactStore, AuditKey, AuditLog, openBlobStore } from '@tyrum/evidence';
import { Approvals, Conversations, TurnControl, TurnIntake, TurnReader, TurnRedrive, Waits } from '@tyrum/execution';
import { DesktopHosts } from '@tyrum/desktops';
import { BACKPLANE, STATE_STORE } from '@tyrum/execution/nest';
import { IdempotencyLedger } from '@tyrum/idempotency';
import { Tenants } from '@tyrum/identity';
import { Leases } from '@tyrum/leases';
import { CONFIG, LOGGER, type Config, type Logger } from '@tyrum/platform';
import { openKeyRing, SecretStore } from '@tyrum/secrets';
import type { StateStore } from '@tyrum/statestore';
import { ConversationStore, TurnStore } from '@tyrum/statestore/turns';
import { GatewayMetrics } from './gateway-metrics';
import { ArtifactDesk } from './operations/artifact-desk';
import { Audited } from './operations/audited';
import { ClaimShares } from './operations/claim-shares';
import { ClusterView } from './operations/cluster-view';
import { Chats } from './operations/chats';
import { LeaseDirectory } from './operations/lease-directory';
import { Gates } from './operations/gates';
import { Once } from './operations/once';
import { Webhooks } from './operations/webhooks';
import { WebhookSecrets } from './operations/webhook-secrets';
import { Workflows } from './operations/workflows';

/** What both doors call. */
export const domainProviders: FactoryProvider[] = [
  {
    provide: Tenants,
    inject: [STATE_STORE, BACKPLANE],
    useFactory: (store: StateStore, backplane: Backplane) => {
      const wake = (): void => ['work' as const, 'timers' as const].forEach((topic) => backplane.publish(topic));
      return new Tenants(store, Date.now, randomUUID, wake);
    },
  },
  {
    provide: Once,
    inject: [STATE_STORE, IdempotencyLedger],
    useFactory: (store: StateStore, ledger: IdempotencyLedger) => new Once(store, ledger),
  },
  {
    provide: Workflows,
    inject: [STATE_STORE, TurnStore, TurnIntake, TurnControl, TurnRedrive, BACKPLANE, Once, GatewayMetrics, CONFIG],
    useFactory: (
      ...[store, turns, intake, control, redrives, backplane, once, metrics, { model }]: [
        StateStore,
        TurnStore,
        TurnIntake,
        TurnControl,
        TurnRedrive,
        Backplane,
        Once,
        GatewayMetrics,
        Config,
      ]
    ) => {
      const knowsPrice = model?.price !== undefined;
      const ports = { store, turns, intake, control, redrives, backplane, once, metrics, knowsPrice };
      return new Workflows(ports, randomUUID);
    },
  },
  {
    provide: Gates,
    inject: [STATE_STORE, TurnStore, Approvals, Waits, TurnControl, BACKPLANE, Once],
    useFactory: (
      ...[store, turns, approvals, waits, control, backplane, once]: [
        StateStore,
        TurnStore,
        Approvals,
        Waits,
        TurnControl,
        Backplane,
        Once,
      ]
    ) => new Gates({ store, turns, approvals, waits, control, backplane, once }),
  },
  {
    provide: Webhooks,
    inject: [STATE_STORE, TurnIntake, Once, GatewayMetrics, CONFIG],
    useFactory: (
      store: StateStore,
      intake: TurnIntake,
      ...[once, metrics, { webhookKey }]: [Once, GatewayMetrics, Config]
    ) => {
      const secrets = webhookKey && new WebhookSecrets(webhookKey.reveal());
      const stamps = { newId: randomUUID, nowMs: () => Date.now() };
      return new Webhooks({ store, intake, once, metrics, secrets }, stamps);
    },
  },
  {
    provide: SecretStore,
    inject: [STATE_STORE, CONFIG, LOGGER],
    useFactory: async (store: StateStore, config: Config, logger: Logger) => {
      const secrets = new SecretStore(store, await openKeyRing(config));
      // A key that was put in front came with this start; nobody waits until all are under it.
      secrets.rewrapAll().then(
        ({ rewrapped, missing }) => {
          if (rewrapped > 0) logger.info({ rewrapped }, 'secrets were brought under the first of TYRUM_SECRET_KEYS');
          if (missing.length > 0)
            logger.warn({ key_ids: missing }, 'keys of some secrets are not in TYRUM_SECRET_KEYS');
        },
        (err: unknown) =>
          logger.warn({ err }, 'secrets could not be looked through for older keys: the next start tries again'),
      );
      return secrets;
    },
  },
  {
    provide: ArtifactStore,
    inject: [STATE_STORE, CONFIG],
    useFactory: async (store: StateStore, config: Config) =>
      new ArtifactStore(store, await openBlobStore(config), {
        newId: randomUUID,
        nowMs: () => Date.now(),
        ...(config.maxStoredBytes === undefined ? {} : { maxStoredBytes: config.maxStoredBytes }),
      }),
  },
  {
    provide: ArtifactDesk,
    inject: [STATE_STORE, TurnStore, ArtifactStore, Once, BACKPLANE],
    useFactory: (
      ...[store, turns, artifacts, once, backplane]: [StateStore, TurnStore, ArtifactStore, Once, Backplane]
    ) => new ArtifactDesk({ store, turns, artifacts, once, backplane }),
  },
  {
    provide: Chats,
    inject: [Conversations, TurnIntake, TurnReader, ArtifactStore, ArtifactDesk, Once, GatewayMetrics],
    useFactory: (
      ...[conversations, intake, reader, artifacts, desk, once, metrics]: [
        Conversations,
        TurnIntake,
        TurnReader,
        ArtifactStore,
        ArtifactDesk,
        Once,
        GatewayMetrics,
      ]
    ) => new Chats({ conversations, intake, reader, artifacts, desk, once, metrics }, randomUUID),
  },
  { provide: Audited, inject: [STATE_STORE], useFactory: (store: StateStore) => new Audited(store) },
  {
    provide: AuditLog,
    inject: [STATE_STORE, AuditKey],
    useFactory: (store: StateStore, key: AuditKey) => new AuditLog(store, key),
  },
  {
    provide: LeaseDirectory,
    inject: [STATE_STORE, ConversationStore],
    useFactory: (store: StateStore, conversations: ConversationStore) =>
      new LeaseDirectory(store, conversations, new Leases(store)),
  },
  {
    provide: ClusterView,
    inject: [STATE_STORE, LeaseDirectory, DesktopHosts],
    useFactory: (store: StateStore, leases: LeaseDirectory, hosts: DesktopHosts) =>
      new ClusterView(store, leases, hosts),
  },
  {
    provide: ClaimShares,
    inject: [STATE_STORE, TurnStore, BACKPLANE],
    useFactory: (store: StateStore, turns: TurnStore, backplane: Backplane) => new ClaimShares(store, turns, backplane),
  },
];
