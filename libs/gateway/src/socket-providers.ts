import type { FactoryProvider } from '@nestjs/common';
import type { Backplane } from '@tyrum/backplane';
import { TurnReader } from '@tyrum/execution';
import { BACKPLANE, STATE_STORE } from '@tyrum/execution/nest';
import { Heartbeat } from '@tyrum/leases';
import { TokenStore } from '@tyrum/identity';
import { DirectedMail, OutboxReader } from '@tyrum/outbox';
import { CONFIG, LOGGER, type Config, type Logger, type WireLimits } from '@tyrum/platform';
import type { StateStore } from '@tyrum/statestore';
import type { GatewayOptions } from './gateway.module';
import { ALLOWED_ORIGINS, GATEWAY_OPTIONS, WIRE_LIMITS } from './gateway-options';
import { EventStreams } from './http/event-streams';
import { GatewayMetrics } from './gateway-metrics';
import { DispatchLoop, PeerRegistry } from '@tyrum/nodes';
import { EdgeLoops } from './edge-loops';
import { nodeProviders } from './node-providers';
import { Admission } from './limits/admission';
import { ConnectionCaps } from './limits/connection-caps';
import { ClientAddresses } from './limits/client-addresses';
import { RefusalAudit } from './limits/refusal-audit';
import { SessionAudit } from './limits/session-audit';
import { Chats } from './operations/chats';
import { Gates } from './operations/gates';
import { NodeEvidence } from './operations/node-evidence';
import { NodePairings } from './operations/node-pairings';
import { Workflows } from './operations/workflows';
import { ConnectionDirectory } from './ws/connection-directory';
import { DirectedDelivery } from './ws/directed-delivery';
import { EventFanOut } from './ws/event-fan-out';
import { EventReplay } from './ws/event-replay';
import { FailedAttempts } from './ws/failed-attempts';
import type { HandshakeStamps } from './ws/handshake';
import { RequestDesk } from './ws/request-desk';
import { NodeDesk } from './ws/node-desk';
import { PresenceFanOut } from './ws/presence-fan-out';
import { gateHandlers } from './ws/gate-handlers';
import { nodeHandlers } from './ws/node-handlers';
import { requestHandlers } from './ws/request-handlers';
import { DEFAULT_MAX_SOCKETS, SocketDoor } from './ws/socket-door';
import { SocketSession } from './ws/socket-session';
import { UpgradeGate } from './ws/upgrade-gate';

/** The WebSocket door and what stands behind it. */
export function socketProviders(stamps: HandshakeStamps): FactoryProvider[] {
  const nowMs = (): number => Date.now();
  const { newId } = stamps;
  // This start of the edge: its name comes back with the next one, and this does not.
  const holder = newId();
  return [
    ...nodeProviders(holder),
    { provide: OutboxReader, inject: [STATE_STORE], useFactory: (store: StateStore) => new OutboxReader(store) },
    {
      provide: EventFanOut,
      inject: [STATE_STORE, OutboxReader, BACKPLANE, ConnectionDirectory, GatewayMetrics, LOGGER, CONFIG, Heartbeat],
      useFactory: (
        ...[store, reader, backplane, directory, metrics, logger, config, heartbeat]: [
          StateStore,
          OutboxReader,
          Backplane,
          ConnectionDirectory,
          GatewayMetrics,
          Logger,
          Config,
          Heartbeat,
        ]
      ) =>
        new EventFanOut(
          { store, reader, backplane, directory, metrics, logger },
          { slot: { slot: config.instanceId, holder, beat: () => heartbeat.rider() }, newId, nowMs },
        ),
    },
    {
      provide: DirectedDelivery,
      inject: [STATE_STORE, BACKPLANE, ConnectionDirectory, GatewayMetrics, LOGGER, CONFIG],
      useFactory: (
        ...[store, backplane, directory, metrics, logger, config]: [
          StateStore,
          Backplane,
          ConnectionDirectory,
          GatewayMetrics,
          Logger,
          Config,
        ]
      ) =>
        new DirectedDelivery(
          { mail: new DirectedMail(store), backplane, directory, metrics, logger },
          { slot: config.instanceId, holder },
        ),
    },
    {
      provide: EventReplay,
      inject: [OutboxReader, ConnectionDirectory, EventFanOut, GATEWAY_OPTIONS],
      useFactory: (
        ...[reader, directory, fanOut, { stalledReaderMs }]: [
          OutboxReader,
          ConnectionDirectory,
          EventFanOut,
          GatewayOptions,
        ]
      ) => new EventReplay(reader, directory, fanOut, stalledReaderMs),
    },
    {
      provide: EventStreams,
      inject: [
        ConnectionDirectory,
        ConnectionCaps,
        RefusalAudit,
        EventReplay,
        GatewayMetrics,
        LOGGER,
        CONFIG,
        GATEWAY_OPTIONS,
        WIRE_LIMITS,
      ],
      useFactory: (
        ...[
          directory,
          caps,
          audit,
          replay,
          metrics,
          logger,
          config,
          { maxSockets = DEFAULT_MAX_SOCKETS },
          { sendBufferBytes, connectionsPerDevice },
        ]: [
          ConnectionDirectory,
          ConnectionCaps,
          RefusalAudit,
          EventReplay,
          GatewayMetrics,
          Logger,
          Config,
          GatewayOptions,
          WireLimits,
        ]
      ) =>
        new EventStreams(
          { directory, caps, audit, replay, metrics, logger, newId },
          {
            edgeId: config.instanceId,
            maxConnections: maxSockets,
            sendBufferBytes,
            connectionsPerDevice,
          },
        ),
    },
    {
      provide: RequestDesk,
      inject: [
        TokenStore,
        Workflows,
        Chats,
        TurnReader,
        EventReplay,
        GatewayMetrics,
        Admission,
        RefusalAudit,
        LOGGER,
        NodePairings,
        NodeDesk,
        PeerRegistry,
        Gates,
        NodeEvidence,
      ],
      useFactory: (
        ...[
          tokens,
          workflows,
          chats,
          reader,
          replay,
          metrics,
          admission,
          audit,
          logger,
          nodes,
          desk,
          registry,
          gates,
          evidence,
        ]: [
          TokenStore,
          Workflows,
          Chats,
          TurnReader,
          EventReplay,
          GatewayMetrics,
          Admission,
          RefusalAudit,
          Logger,
          NodePairings,
          NodeDesk,
          PeerRegistry,
          Gates,
          NodeEvidence,
        ]
      ) => {
        const handlers = {
          ...requestHandlers({ workflows, chats, reader, replay }),
          ...nodeHandlers({ nodes, desk, registry, evidence }),
          ...gateHandlers(gates),
        };
        return new RequestDesk({ tokens, handlers, metrics, admission, audit, logger });
      },
    },
    {
      provide: SocketSession,
      inject: [RequestDesk, EventReplay, NodeDesk, RefusalAudit, WIRE_LIMITS, LOGGER],
      useFactory: (
        desk: RequestDesk,
        replay: EventReplay,
        ...[nodes, audit, { frameMaxBytes: maxBytes, jsonMaxDepth: maxDepth }, logger]: [
          NodeDesk,
          RefusalAudit,
          WireLimits,
          Logger,
        ]
      ) => new SocketSession({ desk, replay, nodes, audit, json: { maxBytes, maxDepth }, logger, newId, nowMs }),
    },
    {
      provide: EdgeLoops,
      inject: [EventFanOut, DirectedDelivery, NodeDesk, PresenceFanOut, DispatchLoop],
      useFactory: (...loops: [EventFanOut, DirectedDelivery, NodeDesk, PresenceFanOut, DispatchLoop]) =>
        new EdgeLoops(...loops),
    },
    {
      provide: UpgradeGate,
      inject: [TokenStore, Admission, ClientAddresses, RefusalAudit, ALLOWED_ORIGINS],
      useFactory: (
        tokens: TokenStore,
        limits: Admission,
        ...[addresses, audit, allowedOrigins]: [ClientAddresses, RefusalAudit, ReadonlySet<string>]
      ) => new UpgradeGate({ tokens, failures: new FailedAttempts(nowMs), limits, addresses, audit }, allowedOrigins),
    },
    {
      provide: SocketDoor,
      inject: [
        UpgradeGate,
        ClientAddresses,
        ConnectionCaps,
        TokenStore,
        ConnectionDirectory,
        SocketSession,
        EdgeLoops,
        NodeDesk,
        GatewayMetrics,
        RefusalAudit,
        SessionAudit,
        LOGGER,
        CONFIG,
        GATEWAY_OPTIONS,
        WIRE_LIMITS,
      ],
      useFactory: (
        ...[
          gate,
          addresses,
          caps,
          tokens,
          directory,
          session,
          loops,
          nodes,
          metrics,
          audit,
          sessions,
          logger,
          config,
          options,
          wire,
        ]: [
          UpgradeGate,
          ClientAddresses,
          ConnectionCaps,
          TokenStore,
          ConnectionDirectory,
          SocketSession,
          EdgeLoops,
          NodeDesk,
          GatewayMetrics,
          RefusalAudit,
          SessionAudit,
          Logger,
          Config,
          GatewayOptions,
          WireLimits,
        ]
      ) =>
        new SocketDoor(
          { gate, addresses, caps, tokens, directory, session, loops, nodes, metrics, audit, sessions, logger },
          { maxPerAddress: config.limits.connectionsPerAddress, ...options, wire, stamps, edgeId: config.instanceId },
        ),
    },
  ];
}
