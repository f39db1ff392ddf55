import { randomUUID } from 'node:crypto';
import type { FactoryProvider } from '@nestjs/common';
import type { Backplane } from '@tyrum/backplane';
import { Waits } from '@tyrum/execution';
import { ArtifactStore } from '@tyrum/evidence';
import { DesktopEnvironments, DesktopHosts } from '@tyrum/desktops';
import { BACKPLANE, STATE_STORE } from '@tyrum/execution/nest';
import { nodeTokens, TokenStore } from '@tyrum/identity';
import { Leases } from '@tyrum/leases';
import { DispatchLoop, Dispatches, Pairings, PeerDirectory, PeerRegistry } from '@tyrum/nodes';
import { CONFIG, LOGGER, type Config, type Logger } from '@tyrum/platform';
import type { StateStore } from '@tyrum/statestore';
import { RefusalAudit } from './limits/refusal-audit';
import { NodeEvidence } from './operations/node-evidence';
import { NodePairings } from './operations/node-pairings';
import { Once } from './operations/once';
import { ConnectionDirectory } from './ws/connection-directory';
import { NodeDesk } from './ws/node-desk';
import { PresenceFanOut } from './ws/presence-fan-out';

const nowMs = (): number => Date.now();

/** Pairing, presence and what nodes are asked to do. @param holder this start of the edge, as its slot knows it */
export function nodeProviders(holder: string): FactoryProvider[] {
  return [
    {
      provide: Pairings,
      inject: [STATE_STORE, TokenStore],
      useFactory: (store: StateStore, tokens: TokenStore) =>
        new Pairings({
          store,
          newId: randomUUID,
          nowMs,
          tokens: nodeTokens(tokens),
        }),
    },
    {
      provide: DesktopEnvironments,
      inject: [STATE_STORE, Pairings, BACKPLANE],
      useFactory: (store: StateStore, pairings: Pairings, backplane: Backplane) =>
        new DesktopEnvironments(store, pairings, backplane),
    },
    {
      provide: DesktopHosts,
      inject: [STATE_STORE],
      useFactory: (store: StateStore) => new DesktopHosts(store, new Leases(store)),
    },
    { provide: PeerDirectory, inject: [STATE_STORE], useFactory: (store: StateStore) => new PeerDirectory(store) },
    {
      provide: PeerRegistry,
      inject: [PeerDirectory, BACKPLANE, CONFIG, LOGGER],
      useFactory: (directory: PeerDirectory, backplane: Backplane, config: Config, logger: Logger) =>
        new PeerRegistry(directory, backplane, {
          edge: { slot: config.instanceId, holder },
          nowMs,
          onError: (error) => logger.warn({ err: error }, 'connections cannot be written down; trying again'),
        }),
    },
    {
      provide: Dispatches,
      inject: [STATE_STORE, BACKPLANE, Waits],
      useFactory: (store: StateStore, backplane: Backplane, waits: Waits) =>
        new Dispatches({ store, backplane, waits, newId: randomUUID }),
    },
    {
      provide: DispatchLoop,
      inject: [Dispatches, BACKPLANE, LOGGER],
      useFactory: (dispatches: Dispatches, backplane: Backplane, logger: Logger) =>
        new DispatchLoop(dispatches, backplane, (error) =>
          logger.warn({ err: error }, 'dispatches cannot be looked after; trying again'),
        ),
    },
    {
      provide: NodeDesk,
      inject: [STATE_STORE, Pairings, Dispatches, PeerRegistry, BACKPLANE, RefusalAudit, LOGGER],
      useFactory: (
        ...[store, pairings, dispatches, registry, backplane, audit, logger]: [
          StateStore,
          Pairings,
          Dispatches,
          PeerRegistry,
          Backplane,
          RefusalAudit,
          Logger,
        ]
      ) => new NodeDesk({ store, pairings, dispatches, registry, backplane, audit, logger, newId: randomUUID, nowMs }),
    },
    {
      provide: PresenceFanOut,
      inject: [BACKPLANE, ConnectionDirectory],
      useFactory: (backplane: Backplane, directory: ConnectionDirectory) =>
        new PresenceFanOut(backplane, directory, { newId: randomUUID, nowMs }),
    },
    {
      provide: NodeEvidence,
      inject: [Dispatches, Once, BACKPLANE, ArtifactStore],
      useFactory: (dispatches: Dispatches, once: Once, backplane: Backplane, artifacts: ArtifactStore) =>
        new NodeEvidence({ dispatches, once, backplane, artifacts }),
    },
    {
      provide: NodePairings,
      inject: [Pairings, PeerDirectory, BACKPLANE, Once],
      useFactory: (pairings: Pairings, peers: PeerDirectory, backplane: Backplane, once: Once) =>
        new NodePairings({ pairings, peers, backplane, once }),
    },
  ];
}
